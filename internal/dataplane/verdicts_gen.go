// SPDX-License-Identifier: Apache-2.0

// Code generated from bpf/types.h by verdicts.sh; DO NOT EDIT.

package dataplane

// verdictTexts says of every exit of the path what it is called and what it means.
var verdictTexts = map[pathVerdict]verdictText{
	pathVerdictVERDICT_NOT_IP:             {"not_ip", "neither IPv4 nor IPv6 (ARP, LLDP), or too short to tell"},
	pathVerdictVERDICT_OTHER_HOST:         {"other_host", "the frame is for another MAC, or the interface is not ours"},
	pathVerdictVERDICT_OTHER_VLAN:         {"other_vlan", "a tag of a VLAN that no interface of ours has"},
	pathVerdictVERDICT_NO_SERVICE:         {"no_service", "no service has this address, port and protocol"},
	pathVerdictVERDICT_ICMP:               {"icmp", "ICMP or ICMPv6 that is no error about a connection: the kernel answers"},
	pathVerdictVERDICT_NOT_SERVING:        {"not_serving", "a service of ours, but this director is not its master"},
	pathVerdictVERDICT_UNKNOWN_CONNECTION: {"unknown_connection", "TCP without SYN, and no connection: the kernel resets it"},
	pathVerdictVERDICT_NO_SERVER:          {"no_server", "no server takes new connections: the kernel refuses it"},
	pathVerdictVERDICT_LOCAL:              {"local", "the server is this host"},
	pathVerdictVERDICT_DR:                 {"dr", "forwarded by direct routing"},
	pathVerdictVERDICT_TUN:                {"tun", "forwarded in a tunnel"},
	pathVerdictVERDICT_NAT_IN:             {"nat_in", "client to server, translated"},
	pathVerdictVERDICT_NAT_OUT:            {"nat_out", "server to client, translated back"},
	pathVerdictVERDICT_ICMP_IN:            {"icmp_in", "an ICMP error about a connection, sent to its server"},
	pathVerdictVERDICT_ICMP_OUT:           {"icmp_out", "an ICMP error about a server's NAT connection, sent to its client"},
	pathVerdictVERDICT_TOO_BIG_TOLD:       {"too_big_told", "larger than the MTU of the way on: the sender was told, by ICMP"},
	pathVerdictVERDICT_TTL_TOLD:           {"ttl_told", "TTL or hop limit was 1: the sender was told, by ICMP"},
	pathVerdictVERDICT_SERVER_RESET:       {"server_reset", "the connection's server was removed: the client was told, by RST, ABORT or ICMP"},
	pathVerdictVERDICT_MALFORMED:          {"malformed", "addressed to a service, but its headers lie about their lengths"},
	pathVerdictVERDICT_FRAGMENT_TINY:      {"fragment_tiny", "a first fragment without the whole header, or one that rewrites it"},
	pathVerdictVERDICT_FRAGMENT_OVERLAP:   {"fragment_overlap", "a fragment of bytes that were sent on already"},
	pathVerdictVERDICT_FRAGMENT_ORPHAN:    {"fragment_orphan", "a fragment whose first one did not come, or whose connection is gone"},
	pathVerdictVERDICT_FRAGMENT_HELD:      {"fragment_held", "a fragment before its first one: the daemon keeps it for 5 seconds"},
	pathVerdictVERDICT_FRAGMENT_SCTP:      {"fragment_sctp", "SCTP to another port by NAT: the checksum is not in the fragment"},
	pathVerdictVERDICT_EXTENSION_HEADERS:  {"extension_headers", "more than 8 IPv6 extension headers"},
	pathVerdictVERDICT_SOURCE_ROUTE:       {"source_route", "IPv4 source route, or an IPv6 routing header that is not done"},
	pathVerdictVERDICT_MARTIAN:            {"martian", "a source that cannot be: loopback, multicast, a service, or the server itself"},
	pathVerdictVERDICT_BAD_CHECKSUM:       {"bad_checksum", "a new connection whose IPv4 or TCP checksum is wrong"},
	pathVerdictVERDICT_ICMP_NO_CONNECTION: {"icmp_no_connection", "an ICMP error about a service, but about none of its connections"},
	pathVerdictVERDICT_ICMP_LOW_MTU:       {"icmp_low_mtu", "an ICMP error that speaks of an MTU below 576 (IPv6: 1280): not believed"},
	pathVerdictVERDICT_TTL_EXCEEDED:       {"ttl_exceeded", "TTL or hop limit was 1, and the sender was not told"},
	pathVerdictVERDICT_NO_NEIGHBOUR:       {"no_neighbour", "the next hop's MAC is not known yet; the daemon was asked to resolve it"},
	pathVerdictVERDICT_NO_ROUTE:           {"no_route", "no way to the server, or back to the client"},
	pathVerdictVERDICT_TOO_BIG:            {"too_big", "larger than the MTU of the way on, and the sender was not told"},
	pathVerdictVERDICT_SERVER_LEFT:        {"server_left", "the connection's server was removed, and its client is not told (`leaving`)"},
	pathVerdictVERDICT_SERVER_GONE:        {"server_gone", "the connection's server was removed with its service"},
	pathVerdictVERDICT_CONN_FULL:          {"conn_full", "no room for another connection where this one could be found again"},
	pathVerdictVERDICT_CONN_BUSY:          {"conn_busy", "the connection ended, or became another one, while its packet was here: the sender repeats it"},
	pathVerdictVERDICT_NAT_CLASH:          {"nat_clash", "no server could be found whose way back was free"},
	pathVerdictVERDICT_NO_HEADROOM:        {"no_headroom", "the driver left no room for another header"},
}
