// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * types.h: the contract between the packets' path (C) and the daemon (Go).
 *
 * bpf2go turns it into Go types, so nothing here is typed twice. A layout that changes here changes
 * the hash that lies beside the pinned maps (internal/dataplane/layout.go).
 *
 * Numbers are in host byte order unless their type says __be. "Written by" names the only writer.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>

/* Sizes of the maps and of what is in them. */
enum limit {
	MAX_SERVICES = 4096,
	MAX_KEYS = 16384,              /* by which services are found: addresses with a port, and parts of ranges */
	MAX_SERVERS = 16384,           /* of all services */
	MAX_HOSTS = 4 * MAX_SERVERS,   /* addresses that services of any destination leave alone */
	MAX_RECORDS = 2 * MAX_SERVERS, /* of servers: one that is no more in use is not soon used again */
	MAX_ROUTERS = 1024,            /* virtual routers; the first number is nobody's */
	MAX_LEASED = 16384,            /* addresses of them */
	MAX_INTERFACES = 1024,
	BUCKET_SLOTS = 16,   /* of the connection table, the first of which is the bucket's own */
	UNSETTLED_SLOTS = 7, /* of a bucket at most are of flows that have not proved themselves yet */
	SETTLED_PACKETS = 4, /* of its client: then a flow has */
	SLOTS_TOGETHER = 8,  /* a power of two */
	MAX_LOCKS = 4096,    /* a power of two */
	TIMEOUTS = 16,       /* a power of two, at least CONN_STATES */
	/*
	 * What was seen so many jiffies ago was seen since the clock was read. The longest timeout, 31 days
	 * of 1000 jiffies a second, is less.
	 */
	SEEN_AHEAD = 0xe0000000,
	MAX_VLANS = 4096,
	MAX_FRAGMENTS = 1024,
	FRAGMENT_WORDS = 65536 / 8 / 64, /* 8 bytes a bit, 64 bits a word */
	HELD_BYTES = 3584,               /* the largest frame that is held: more than native XDP takes */
	MAX_NEAREST = 16384,             /* addresses, of all services with lblc, and with lblcr */
	NEAR_MEMBERS = 16,               /* servers of an address, a power of two */
	MAX_ENDINGS = 512,               /* connections that are ended in one run */
	MAX_QUESTIONS = 16384,           /* datagrams by NAT of one-packet services, whose answers may come */
	QUESTION_SECONDS = 60,           /* an answer that comes later is nobody's */
	TRACE_BYTES = 2048,              /* of a frame that is traced, at most */
	TEMPLATE_MARK = 64,              /* a bit of the protocol in a template's key: so no packet's flow is one */
	TEMPLATE_TURNS = 8, /* rounds of the sweep in which each connection once looks after its template */
	TEMPLATE_KEPT = 60, /* seconds that a template has left at least while connections of it live */
	MAX_CHECK_WAYS = MAX_SERVERS,
	MAX_CHECK_ANSWERS = 16384,  /* that checks through services' addresses wait for */
	CHECK_ANSWER_SECONDS = 300, /* after a check's last packet: an answer that comes later is nobody's */
	MAX_COLLECTED = 1024,       /* connections that sync hears of in one run */
	MAX_ARRIVALS = 256,         /* those of another director that come, or end, in one run */
	MAX_FAREWELLS = 4096,       /* who ends by its time in one run of the sweep, for sync: room for all of it */
	DIGESTS = 256,              /* slices of what two directors compare; an index is 8 bits of a hash */
};

/* An IP address; IPv4 is mapped into IPv6 (::ffff:a.b.c.d), so one path serves both. */
struct addr {
	__be32 word[4];
};

/* The two ends of a packet as it is on the wire. It is also the key of a connection. */
struct flow {
	struct addr source;
	struct addr destination;
	__be16 source_port;
	__be16 destination_port;
	__u8 protocol; /* IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP */
	__u8 pad[3];   /* zero: flows are compared in words of 64 bits */
} __attribute__((aligned(8)));

/* Key of `services`. A service has one for each of its addresses, ports and protocols. Written by Go. */
struct service_key {
	struct addr address; /* 0.0.0.0 (mapped) or ::: any destination of this family */
	__be16 port;         /* 0: any port of the address */
	__u8 protocol;       /* IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP */
	__u8 pad;            /* zero: it is part of the key */
};

/* Key of `ranges`: the beginning of an address, protocol and port. Written by Go. */
struct range_key {
	__u32 bits; /* of what follows that are compared: all but the last ones of the port */
	struct addr address;
	__u8 protocol;
	__u8 pad; /* zero: it is part of the key */
	__be16 port;
};

/* Value of `hosts`: why services of any destination leave an address alone. Written by Go. */
enum host {
	HOST_OURS = 1, /* it is this host's: what goes there is for the host itself */
	HOST_SERVER =
		2, /* it is a real server's: what comes from there was not sent by a client, and what goes there was not for somebody behind */
};

enum scheduler {
	SCHEDULER_RR = 1,
	SCHEDULER_WRR = 2,
	SCHEDULER_LC = 3,
	SCHEDULER_WLC = 4,
	SCHEDULER_SED = 5,
	SCHEDULER_NQ = 6,
	SCHEDULER_FO = 7,
	SCHEDULER_OVF = 8,
	SCHEDULER_TWOS = 9,
	SCHEDULER_DH = 10,
	SCHEDULER_SH = 11,
	SCHEDULER_MH = 12,
	SCHEDULER_LBLC = 13,
	SCHEDULER_LBLCR = 14,
};

enum service_flag {
	SERVICE_SERVING = 1,         /* clear: packets pass to the kernel (a backup does not balance) */
	SERVICE_FORWARD_UNKNOWN = 2, /* what has no entry, and gets none, follows the hash of `slots` */
	SERVICE_HASH_PORT = 4,       /* sh-port, mh-port: the client\'s port counts, too */
	SERVICE_HASH_FALLBACK =
		8, /* sh-fallback, mh-fallback: in place of a server that takes no connections another one has them */
	SERVICE_PERSISTENT = 16,       /* a client's connections go to one server: template.h */
	SERVICE_EXPIRE_QUIESCENT = 32, /* a template that leads to a server of weight 0 is not followed */
	SERVICE_ONE_PACKET = 64,       /* UDP: each datagram is scheduled for itself, and begins no connection */
	SERVICE_LOCAL = 128,           /* one of its servers is this host: director.h */
};

/* Value of `services` and `ranges`. Written by Go. */
struct service {
	__u32 id; /* index into `slots`, `positions`, `templates`, `half_open` and `counters`; below MAX_SERVICES */
	__u32 generation;         /* never 0; another one after the id was given to another service */
	__u8 scheduler;           /* enum scheduler */
	__u8 flags;               /* enum service_flag */
	__be16 last;              /* where its first key is a range: the last port; else 0 */
	struct service_key first; /* by which the daemon knows it again */
	__u32 half_open;          /* so many connections may wait for their client's second packet; 0: no limit */
};

/*
 * Value of `templates`, index = service id: by what a persistent service knows its clients again, whichever
 * of its addresses they ask for. Written by Go.
 */
struct template
{
	__u32 generation;    /* of the service; 0: it is not persistent */
	struct addr mask;    /* the bits of a client's address that count; of IPv4 as it is mapped */
	struct addr address; /* of the service's first key */
	__be16 port;         /* of the service's first key; 0: one template for all ports of the address */
	__u8 protocol;       /* of the service's first key, with TEMPLATE_MARK */
	__u8 pad;
};

/*
 * A neighbour that a frame goes to. Written by Go for servers, by the path for clients.
 * ifindex 0: unknown.
 */
struct hop {
	__u32 ifindex; /* that frames leave by: the parent of a VLAN device */
	__u8 mac[6];
	__u16 vlan; /* id of the 802.1Q tag of the frame, host order; 0: none */
};

enum forwarding {
	FORWARDING_DR = 1,
	FORWARDING_TUN = 2,
	FORWARDING_NAT = 3,
};

/* What TUN puts around a packet. The names are ipvsadm's. */
enum tunnel {
	TUNNEL_IPIP = 0,
	TUNNEL_GRE = 1,
	TUNNEL_GUE = 2,
};

enum tunnel_flag {
	TUNNEL_CHECKSUM = 1, /* GRE: of header and packet; GUE: UDP's */
};

enum server_flag {
	SERVER_SERVING = 1,  /* its service's SERVICE_SERVING, here so that a known connection need not look it up */
	SERVER_LOCAL = 2,    /* the address is this host's: packets pass to the kernel as they are */
	SERVER_RESOLVED = 4, /* hop.mac is known */
	SERVER_QUIESCED = 8, /* weight 0: it keeps its connections, and takes no new ones */
	SERVER_REUSE_CLOSING = 16, /* its service's: a SYN begins another connection where one side has closed */
	SERVER_REUSE_KEPT = 32,    /* its service's: a SYN goes to the same server even where both sides have closed */
	SERVER_BESIDE_LOCAL = 64,  /* its service's SERVICE_LOCAL */
	SERVER_LINGERS = 128, /* not served any more, but not all clients know: what they send goes where it belongs */
};

/* What becomes of the connections of a server that was taken out of its service. The names are the config's. */
enum leaving {
	LEAVING_DRAIN = 1, /* they live on; no new ones */
	LEAVING_RESET = 2, /* a client hears of it at its next packet, and the connection goes */
	LEAVING_DROP = 3,  /* packets are dropped, until the server is back or the connection has expired */
};

/* Value of `records`: a server. It belongs to one service. Nothing in a record that is in use changes. Written by Go. */
struct server {
	__u32 generation; /* 0: the place is free. A connection of another generation is a stranger's */
	__u32 was; /* of a free place: the generation that had it last, whose address, port, method and service still stand here */
	__u32 service; /* id of its service */
	__u32 service_generation;
	__be16 port;     /* where NAT sends to; 0: the port that the client asked for */
	__u8 forwarding; /* enum forwarding */
	__u8 flags;      /* enum server_flag */
	struct addr address;
	struct addr next;   /* the neighbour whose MAC hop.mac is: the server itself, or a router */
	struct hop hop;     /* the way to it; ifindex 0: there is none */
	__u8 source_mac[6]; /* of the interface hop.ifindex */
	__u16 mtu;          /* of the way to it, bytes of an IP packet */
	struct addr source; /* outer source of TUN */
	__be32 source_mask; /* bits of the last word of source that the flow decides; 0: none */
	__be16 tunnel_port; /* GUE: UDP port that the server listens on */
	__u8 tunnel;        /* enum tunnel */
	__u8 tunnel_flags;  /* enum tunnel_flag */
	__u16 overhead;     /* bytes that the tunnel puts in front of a packet */
	__u16 mss;          /* TCP: the largest MSS that a SYN may offer; 0: as it came */
	__u8 leaving;       /* enum leaving; 0: it stays */
	__u8 pad;
	__u16 weight;
	__u32 upper; /* of as many connections it is full, and takes no new ones; 0: never */
	__u32 lower; /* of fewer than this it takes some again; 0: of fewer than three quarters of upper */
};

/*
 * Value of the inner maps of `slots` (outer index = service id): tables of the servers of a service, which
 * change together: a change is a new inner map, switched in with one write. Written by Go.
 *
 *   head │ servers as schedulers walk them, the last added first, as IPVS does │ head │ buckets │ consistent hash
 *
 * A server has one slot in the first, and any number in the others, as internal/sched deals them out.
 */
struct slot {
	__u32 server;     /* heads: how many slots there are of the first table, of the consistent hash */
	__u32 generation; /* first head: version of all tables, never 0; second: 0 */
	__u32 weight; /* first head: mw of IPVS's wrr, largest weight - (gcd - 1); second: how many buckets there are */
	__u32 divisor; /* first head: di of IPVS's wrr, the gcd of the weights; else 0 */
};

/* Slots lie together, so that a scheduler that looks at each of them asks the map seldom. */
struct slot_block {
	struct slot slot[SLOTS_TOGETHER];
};

/* Key of `nearest` and `near_sets`: an address that was asked for by way of a service. */
struct near_key {
	__u32 service; /* id */
	__u32 generation;
	struct addr address;
};

/* A server that an address went to. */
struct member {
	__u32 server; /* id */
	__u32 generation;
};

/* Value of `nearest` (lblc). Written by the path. */
struct near {
	struct member member;
	__u32 used; /* jiffies: when the last connection went there */
	__u32 spare;
};

/* Value of `near_sets` (lblcr). Written by the path. */
struct near_set {
	__u32 used;    /* jiffies */
	__u32 changed; /* jiffies: when a member came or went */
	__u32 count;   /* members */
	__u32 spare;
	struct member members[NEAR_MEMBERS]; /* in the order in which they joined */
};

/*
 * Value of `interfaces`, index = ifindex modulo MAX_INTERFACES: where the path runs. An array costs
 * no call, a hash would cost a fifth of the whole path. Two interfaces of ours that share an index
 * are refused when they are attached. Written by Go.
 */
struct interface {
	__u32 ifindex;    /* 0: the program is not meant to balance there */
	__u8 mac[6];      /* frames for other MACs are other hosts' */
	__u16 mtu;        /* bytes of an IP packet */
	__u32 parent;     /* a VLAN device: the interface below, where the program is; else 0 */
	__u16 vlan;       /* a VLAN device: the id of its tag; else 0 */
	__u8 mode;        /* enum xdp_mode */
	__u8 reason[173]; /* why it is not native, for people; zero-terminated */
	__u8 ids4[32];    /* bit id % 8 of byte id / 8: frames for the MAC of that virtual router are ours, too */
	__u8 ids6[32];    /* the same of virtual routers of IPv6 */
};

/* Key of `vlans`: a tag on an interface. The value is the ifindex of the VLAN device. Written by Go. */
struct vlan_key {
	__u32 ifindex;
	__u32 vlan; /* id, 1..4094 */
};

/* Key of `directors`: a server by DR of a service of which this host is one, too. Written by Go. */
struct director_key {
	__u32 service; /* id */
	__u8 mac[6];
	__u8 pad[2]; /* zero: it is part of the key */
};

enum xdp_mode {
	XDP_MODE_NATIVE = 1,
	XDP_MODE_GENERIC = 2,
};

/* State of a connection. */
enum conn_state {
	CONN_NONE,   /* nobody's: free, ended, or being filled */
	CONN_COMING, /* it is not said yet that its flow is not elsewhere in the table: place.h */
	CONN_SYN_RECV,
	CONN_ESTABLISHED,
	CONN_FIN_WAIT,
	CONN_TIME_WAIT,
	CONN_CLOSE,
	CONN_TEMPLATE, /* no connection: which server a client's connections go to (template.h) */
	CONN_UDP,
	CONN_UDP_UNSETTLED, /* no state, but where in `timeouts` that of UDP stands which is not settled */
	CONN_KEPT,          /* its time is over, but perhaps it was a stranger who closed it: it counts no more */
	CONN_STATES,
};

enum conn_flag {
	CONN_REVERSE = 1,      /* the server's side of a NAT pair: struct reverse; the forward entry owns the state */
	CONN_DYING = 2,        /* the sweep saw it expired once; a packet takes the mark away */
	CONN_DIRTY = 4,        /* changed since sync last looked */
	CONN_FIN_CLIENT = 8,   /* the client has closed its side */
	CONN_FIN_SERVER = 16,  /* the server has closed its side, or in UDP answered; seen by NAT only */
	CONN_AWAY = 32,        /* it lives in its second bucket */
	CONN_SETTLED = 64,     /* its client has sent SETTLED_PACKETS: nobody's new flow takes its place */
	CONN_MOVING = 128,     /* a CPU is moving it to another table: no other one does */
	CONN_PERSISTENT = 256, /* its client has a template, which lives at least as long */
	CONN_TOLD = 512,       /* sync told of it when it was settled already, or it came by sync so */
};

/*
 * Value of `timeouts`, index = service id: when its connections are forgotten. At MAX_SERVICES are those
 * of connections whose server is gone. Written by Go.
 */
struct timeouts {
	/*
	 * Without a packet, by enum conn_state. A template: without a new connection; 0: the service is not
	 * persistent, what templates there are go. CONN_KEPT: as CONN_ESTABLISHED; 0 at MAX_SERVICES: it goes.
	 */
	__u32 seconds[TIMEOUTS];
};

/*
 * A connection as the path remembers it: an element of `conns`, one cache line. Its index is 16 times
 * that of its bucket, and its slot, from 1 on. Written by the path and the sweep. NAT has two entries:
 * client to service, and server to client, which is a struct reverse. A template is an entry, too.
 */
struct conn {
	/*
	 * bits 0-7 enum conn_state, 8-23 enum conn_flag, 24-31 packets of the client until it is settled,
	 * 32-63 which life of this place it is. It changes only by compare-and-swap; the winner alone moves
	 * `loads`. What was read of an entry counts only if its life is the same before and after.
	 */
	__u64 word;
	struct addr source;      /* the client; of a template: what its clients have in common */
	struct addr destination; /* what the client asked for; of a template: the address of its service's first key */
	__be16 source_port;      /* of a template: 0 */
	__be16 destination_port; /* of a template: that of its service's first key, or 0 */
	__u8 protocol;           /* of a template: the first key's, with TEMPLATE_MARK */
	__u8 forwarding;         /* enum forwarding, when it was created; of a template: 0 */
	__u16 server;            /* id */
	__u32 seen;              /* jiffies, low 32 bits: when the last packet came, of either side */
	__u32 pair;              /* NAT: position of its reverse entry */
	__u32 server_generation; /* the server of another generation is a stranger */
	__u32 hop;               /* NAT: a digest of the client's next hop, which stands in the reverse entry */
};

/* An entry, too: the way back of a NAT connection. Its first fields lie as those of struct conn. */
struct reverse {
	__u64 word;
	struct addr source;      /* the server */
	struct addr destination; /* the client */
	__be16 source_port;
	__be16 destination_port;
	__u8 protocol;
	__u8 pad;
	__u16 interface; /* index into `interfaces`: the client's packets come in there, answers go out */
	__u32 hop_seen;  /* jiffies: when the client's next hop was last confirmed */
	__u32 pair;      /* position of the forward entry, which points back; else this is an orphan */
	__u8 mac[6];     /* of the client's next hop */
	__u16 vlan;      /* id of the tag of its frames; 0: none */
};

/*
 * An element of `conns`, too: the first of each 16, before the entries of 15 connections that are near
 * in the hash. It has what is looked at before an entry is. Written by the path and the sweep.
 */
struct bucket {
	__u64 tags[BUCKET_SLOTS / 8]; /* a byte a slot: some bits of the flow's hash, never 0; 0: nothing to be found */
	__u32 taken;                  /* a bit a slot: the slot is somebody's; who sets it owns the slot */
	__u32 settled;                /* a bit a slot: CONN_SETTLED of its entry */
	__u32 away;                   /* flows whose home this is, but which live in their second bucket */
	__u32 hand;                   /* slot that was taken last: the next one makes room first */
	__u32 spare[8];
};

/* Key of `fragments`: what the fragments of one packet have in common (RFC 791, RFC 8200 section 4.5). */
struct fragment_key {
	struct addr source;
	struct addr destination;
	__be32 id;     /* IPv4: its 16 bits, in the lower half of the word as it lies on the wire */
	__u8 protocol; /* IPv4's; IPv6: 0 */
	__u8 pad[3];   /* zero: it is part of the key */
};

/* Value of `fragments`: a packet of which not all fragments have passed yet. Written by the path. */
struct fragment {
	__u32 made; /* jiffies */
	__be16 source_port;
	__be16 destination_port;
	__u8 protocol; /* 0: the first fragment, which has the ports, was not seen yet; others are held */
	__u8 poisoned; /* fragments overlapped: nothing more of this packet is sent on (RFC 5722) */
	__u8 aside;    /* its first fragment passed to the kernel: so do the others */
	__u8 pad;
	__u32 end;  /* blocks of the whole packet; 0: the last fragment was not seen yet */
	__u32 sent; /* blocks sent on */
	__u32 spare;
	__u64 blocks[FRAGMENT_WORDS]; /* a bit for each 8 bytes that were sent on */
};

enum held_kind {
	HELD_FRAME = 1, /* a fragment that came before its first one */
	HELD_FIRST = 2, /* the first one came: the held ones can go */
};

/* What the path tells the daemon through the ring `held_frames`: fragments that wait for their first one. */
struct held {
	__u32 kind; /* enum held_kind; HELD_FIRST ends before frame */
	__u32 ifindex;
	struct fragment_key key;
	__u32 length; /* bytes of frame */
	__u8 frame[HELD_BYTES];
};

/* Value of `tellings`: how many senders were told of errors lately, on this CPU. */
struct told {
	__u32 since; /* jiffies: when this second began */
	__u32 count; /* in this second */
};

/* Value of `loads`, index = server id: connections that live, and templates. Written by the path and the sweep. */
struct load {
	__u64 active;     /* ESTABLISHED */
	__u64 inactive;   /* all other states of connections, as IPVS counts (UDP too), but for CONN_KEPT */
	__u64 half_open;  /* SYN_RECV; they are part of inactive */
	__u64 persistent; /* templates, which are no connections */
	__u64 full;       /* the upper threshold that they have reached, and not fallen from yet; 0: none */
};

/*
 * Value of `counters`, one block per CPU. Index MAX_SERVICES + server id: what the server had, written by
 * the path. Index = service id: what servers had that the service has no more, and whose place is another
 * one's, written by Go. Bytes are of IP packets, as IPVS counts.
 */
struct counters {
	__u64 connections;
	__u64 packets_in;
	__u64 bytes_in;
	__u64 packets_out; /* NAT only: answers of DR and TUN do not pass here */
	__u64 bytes_out;
};

/*
 * Value of `signs`, index = server id: what became of new connections, TCP's and SCTP's. Written by the path, when
 * one changes its state. One count for all CPUs: by NAT a client and its server are seen by different ones.
 */
struct sign {
	__u64 answered; /* those whose client went on after its SYN */
	__u64 refused;  /* NAT only: those whose SYN was answered by an RST */
	__u32 row;      /* refused since the last one that was answered */
	__u32 told;     /* jiffies: when the daemon was told of that */
};

/*
 * Value of `questions`: a datagram of a one-packet service that NAT has translated, by the flow of its
 * answer. It is like a connection with its way back, but of no place in the table. Written by the path.
 */
struct question {
	struct conn conn;
	struct reverse back; /* hop_seen: when it was asked */
};

/*
 * Value of `check_ways`, key = an alias: where a check through a service's address goes that was sent to the
 * alias. Written by Go.
 */
struct check_way {
	struct addr service; /* the address that takes the place of the alias, of the same family */
	struct addr server;  /* TUN: outer destination, of the same family */
	struct addr source;  /* TUN: outer source */
	__u16 overhead;      /* bytes that the tunnel puts in front of a packet; 0: DR */
	__be16 tunnel_port;  /* GUE: UDP port that the server listens on */
	__u32 ifindex;       /* of the interface towards the server: nothing goes by another one */
	__u8 tunnel;         /* enum tunnel */
	__u8 pad[3];
};

/* Value of `check_answers`, key = the answer as it comes. Written by check.bpf.c. */
struct check_awaited {
	struct addr alias; /* where the check was sent to */
	__u32 asked;       /* when, in seconds since boot: its last packet, roughly */
};

/* What the path tells the daemon through the ring `events`. */
enum event_kind {
	EVENT_NO_NEIGHBOUR = 1, /* address on ifindex wants resolving */
	EVENT_REFUSED = 2,      /* a server has refused some more connections: `signs` tells which */
};

struct event {
	__u32 kind;          /* enum event_kind */
	__u32 ifindex;       /* of EVENT_NO_NEIGHBOUR, else 0 */
	struct addr address; /* of EVENT_NO_NEIGHBOUR, else 0 */
};

/* A frame as `weir trace` sees it. */
struct trace_frame {
	__u32 length; /* bytes */
	__u32 taken;  /* of them: the first ones */
	__u8 bytes[TRACE_BYTES];
};

/* What the path found of a packet that is traced. */
enum trace_note {
	TRACE_CONNECTION = 1, /* it has one, or has begun one */
	TRACE_FRESH = 2,      /* it has begun it */
	TRACE_ENDED = 4,      /* it had one, which is over */
	TRACE_BACK = 8,       /* it is the server's */
	TRACE_SERVICE = 16,   /* its service was looked for, and found */
	TRACE_BEGUN = 32,     /* it has begun its client's template */
	TRACE_FOLLOWED = 64,  /* its client's template named the server */
	TRACE_SERVER = 128,
	TRACE_HASHED = 256, /* the hash of its flow named the server */
	TRACE_SENT = 512,
	TRACE_TOLD = 1024, /* what was sent tells its sender that it cannot go on */
};

/* What the traced path tells the daemon of a packet through the ring `traces`. */
struct trace {
	__u64 time;   /* ns of CLOCK_MONOTONIC */
	__u64 untold; /* packets until now that found no room in the ring */
	__u64 word;   /* of its connection */
	__u32 ingress;
	__u32 egress;
	__u32 verdict;    /* enum verdict */
	__u32 notes;      /* enum trace_note */
	__u32 active;     /* it is looked at */
	__u32 kind;       /* enum kind */
	struct flow flow; /* of its connection, as the client began it; without one as it came */
	struct service_key service;
	struct addr server;
	__be16 service_last; /* where that key is a range: the last port; else 0 */
	__be16 server_port;  /* 0: the port that the client asked for */
	__u8 forwarding;     /* enum forwarding */
	__u8 scheduler;      /* enum scheduler */
	__u8 pad[2];
	struct trace_frame in, out;
};

/* Argument of the sweep program, in and out. */
struct sweep {
	__u32 first;   /* in: bucket to begin with */
	__u32 buckets; /* in: how many */
	__u32 round;   /* in: through the whole table, counted */
	__u32 now;     /* out: jiffies */
	__u32 seen;    /* out: entries looked at, reverse ones too */
	__u32 marked;  /* out: expired for the first time, now CONN_DYING */
	__u32 deleted; /* out: expired for the second time, and gone */
	__u32 orphans; /* in: held fragments that the daemon gave up, to be counted */
	__u32 kept;    /* out: of the entries seen, those of connections that are CONN_KEPT */
	__u32 holds;   /* in: 1: what lasts and is not served here does not age: its master says when it ends */
	__u32 tells;   /* in: 1: what lasts, and ends, is written to `farewells` */
	__u32 told;    /* out: how many were */
};

/* Argument of the program that moves connections to another table, in and out. */
struct move_slice {
	__u32 first;   /* in: how many buckets the walk has seen */
	__u32 buckets; /* in: how many it is to see now */
	__u32 stride;  /* in: how far it is from one to the next, round and round */
	__u32 moved;   /* out: connections that have their new place; a pair counts once */
	__u32 lost;    /* out: those that found none, and ended */
	__u32 left;    /* out: those that could not be moved now: another CPU has them in hand */
};

/* Value of `endings`: a connection that shall end before its time. Written by Go; ended by end.bpf.c. */
struct ending {
	__u64 word; /* of its entry when it was chosen: another one is another life, or another state */
	__u32 position;
	__u32 ended; /* 1: it was still so, and is gone */
};

/* Which connections sync collects. */
enum collects {
	COLLECTS_NEWS = 1,   /* those served here that have changed since they were told; they count as told then */
	COLLECTS_WANTED = 2, /* those in `wanted` slices */
};

/* Argument of the program that collects connections, in and out. */
struct collect_slice {
	__u32 first;   /* in: bucket to begin with */
	__u32 buckets; /* in: how many, at most */
	__u32 what;    /* in: enum collects */
	__u32 walked; /* in: 0; out: how many it has walked through: there was no room for what may be in the next one */
	__u32 count;  /* in: 0; out: elements of `collected` */
};

/* Argument of the program that adds digests up. */
struct digest_slice {
	__u32 first;   /* in: bucket to begin with */
	__u32 buckets; /* in: how many */
};

/* What became of a connection that another director told of. */
enum arrived {
	ARRIVED_NOT,       /* nobody looked at it yet */
	ARRIVED_NEW,       /* it is here now */
	ARRIVED_CHANGED,   /* it was here, and is now as it was told */
	ARRIVED_ENDED,     /* it was here, and has ended */
	ARRIVED_UNKNOWN,   /* it is to end, and is not here */
	ARRIVED_OURS,      /* it is here, and is served here: this director knows better */
	ARRIVED_NO_SERVER, /* its server was removed */
	ARRIVED_CLASH,     /* its flow, or its way back, is another connection's */
	ARRIVED_FULL,      /* both of its buckets are full */
	ARRIVED_BUSY,      /* another CPU had it in hand */
};

/* Value of `arrivals`: a connection that another director told of. Written by Go; outcome by sync.bpf.c. */
struct arrival {
	struct flow flow; /* the key of its entry */
	__u32 server;     /* id */
	__u32 server_generation;
	__u32 idle;  /* jiffies: so long ago its last packet counts as seen */
	__u16 flags; /* enum conn_flag: CONN_FINS, CONN_SETTLED, CONN_PERSISTENT */
	__u8 state;  /* enum conn_state; CONN_NONE: it is to end, and nothing else is said of it */
	__u8 spare;
	__u32 outcome; /* enum arrived */
	__u32 spare2;
};

/* Argument of the program that puts them in. */
struct arrive_slice {
	__u32 count;    /* in: elements of `arrivals` */
	__u32 spare[3]; /* a frame has 14 bytes at least */
};

/*
 * Every exit of the path, counted once in finish.h. The comment becomes the help text in
 * `weir counters`, metrics and docs. A new one is a line here and the return where it happens.
 */
enum verdict {
	VERDICT_CONTINUE, /* not an exit: the next stage decides */

	/* Passed to the kernel, untouched but for the last one. */
	VERDICT_NOT_IP,             /* neither IPv4 nor IPv6 (ARP, LLDP), or too short to tell */
	VERDICT_OTHER_HOST,         /* the frame is for another MAC, or the interface is not ours */
	VERDICT_OTHER_VLAN,         /* a tag of a VLAN that no interface of ours has */
	VERDICT_NO_SERVICE,         /* no service has this address, port and protocol */
	VERDICT_ICMP,               /* ICMP or ICMPv6 that is no error about a connection: the kernel answers */
	VERDICT_NOT_SERVING,        /* a service of ours, but this director is not its master */
	VERDICT_UNKNOWN_CONNECTION, /* TCP without SYN, and no connection: the kernel resets it */
	VERDICT_NO_SERVER,          /* no server takes new connections: the kernel refuses it */
	VERDICT_LOCAL,              /* the server is this host */
	VERDICT_CHECK_ANSWER, /* a server's answer to a check through the service's address: its source becomes the check's alias */

	/* Sent on. */
	VERDICT_DR,               /* forwarded by direct routing */
	VERDICT_TUN,              /* forwarded in a tunnel */
	VERDICT_NAT_IN,           /* client to server, translated */
	VERDICT_NAT_OUT,          /* server to client, translated back */
	VERDICT_ICMP_IN,          /* an ICMP error about a connection, sent to its server */
	VERDICT_ICMP_OUT,         /* an ICMP error about a server's NAT connection, sent to its client */
	VERDICT_TOO_BIG_TOLD,     /* larger than the MTU of the way on: the sender was told, by ICMP */
	VERDICT_TTL_TOLD,         /* TTL or hop limit was 1: the sender was told, by ICMP */
	VERDICT_SERVER_RESET,     /* the connection's server was removed: the client was told, by RST, ABORT or ICMP */
	VERDICT_HASHED_UNKNOWN,   /* TCP without SYN, and no connection: forwarded without one, by its flow's hash */
	VERDICT_HASHED_HALF_OPEN, /* `half_open` is reached: forwarded without a connection, by its flow's hash */
	VERDICT_HASHED_FULL,      /* no room for its connection: forwarded without one, by its flow's hash */

	/* Dropped. */
	VERDICT_MALFORMED,  /* addressed to a service, but its headers lie about their lengths */
	VERDICT_LEASE_OVER, /* ARP, or a neighbour solicitation, for an address whose lease is over: this director is not its master, or its daemon is dead or hangs */
	VERDICT_FRAGMENT_TINY,      /* a first fragment without the whole header, or one that rewrites it */
	VERDICT_FRAGMENT_OVERLAP,   /* a fragment of bytes that were sent on already */
	VERDICT_FRAGMENT_ORPHAN,    /* a fragment whose first one did not come, or whose connection is gone */
	VERDICT_FRAGMENT_HELD,      /* a fragment before its first one: the daemon keeps it for 5 seconds */
	VERDICT_FRAGMENT_SCTP,      /* SCTP to another port by NAT: the checksum is not in the fragment */
	VERDICT_EXTENSION_HEADERS,  /* more than 8 IPv6 extension headers */
	VERDICT_SOURCE_ROUTE,       /* IPv4 source route, or an IPv6 routing header that is not done */
	VERDICT_MARTIAN,            /* a source that cannot be: loopback, multicast, a service, or the server itself */
	VERDICT_BAD_CHECKSUM,       /* a new connection whose IPv4 or TCP checksum is wrong */
	VERDICT_ICMP_NO_CONNECTION, /* an ICMP error about a service, but about none of its connections */
	VERDICT_ICMP_LOW_MTU,       /* an ICMP error that speaks of an MTU below 576 (IPv6: 1280): not believed */
	VERDICT_TTL_EXCEEDED,       /* TTL or hop limit was 1, and the sender was not told */
	VERDICT_NO_NEIGHBOUR,       /* the next hop's MAC is not known yet; the daemon was asked to resolve it */
	VERDICT_NO_ROUTE,           /* no way to the server, or back to the client */
	VERDICT_TOO_BIG,            /* larger than the MTU of the way on, and the sender was not told */
	VERDICT_SERVER_LEFT,        /* the connection's server was removed, and its client is not told (`leaving`) */
	VERDICT_SERVER_GONE,        /* the connection's server was removed with its service */
	VERDICT_HALF_OPEN,          /* the service has as many half-open connections as it may have (`half_open`) */
	VERDICT_CONN_FULL,          /* no room for another connection where this one could be found again */
	VERDICT_CONN_BUSY, /* the connection ended, or became another one, while its packet was here: the sender repeats it */
	VERDICT_NAT_CLASH,   /* no server could be found whose way back was free */
	VERDICT_NO_HEADROOM, /* the driver left no room for another header */

	VERDICTS,
};

#define VERDICT_FIRST_SENT VERDICT_DR
#define VERDICT_FIRST_DROPPED VERDICT_MALFORMED
