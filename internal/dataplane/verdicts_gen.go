// SPDX-License-Identifier: Apache-2.0

// Code generated from bpf/types.h by verdicts.sh; DO NOT EDIT.

package dataplane

// verdictTexts says of every exit of the path what it is called and what it means.
var verdictTexts = map[pathVerdict]verdictText{
	pathVerdictVERDICT_NOT_IP:             {"not_ip", "neither IPv4 nor IPv6 (ARP, LLDP), or too short to tell"},
	pathVerdictVERDICT_OTHER_HOST:         {"other_host", "the frame is for another MAC, or the interface is not ours"},
	pathVerdictVERDICT_NO_SERVICE:         {"no_service", "no service has this address, port and protocol"},
	pathVerdictVERDICT_ICMP:               {"icmp", "ICMP or ICMPv6: the kernel answers"},
	pathVerdictVERDICT_NOT_SERVING:        {"not_serving", "a service of ours, but this director is not its master"},
	pathVerdictVERDICT_UNKNOWN_CONNECTION: {"unknown_connection", "TCP without SYN, and no connection: the kernel resets it"},
	pathVerdictVERDICT_NO_SERVER:          {"no_server", "no server takes new connections: the kernel refuses it"},
	pathVerdictVERDICT_LOCAL:              {"local", "the server is this host"},
	pathVerdictVERDICT_DR:                 {"dr", "forwarded by direct routing"},
	pathVerdictVERDICT_TUN:                {"tun", "forwarded in a tunnel"},
	pathVerdictVERDICT_NAT_IN:             {"nat_in", "client to server, translated"},
	pathVerdictVERDICT_NAT_OUT:            {"nat_out", "server to client, translated back"},
	pathVerdictVERDICT_MALFORMED:          {"malformed", "addressed to a service, but its headers lie about their lengths"},
	pathVerdictVERDICT_FRAGMENT:           {"fragment", "a fragment for a service: not supported yet"},
	pathVerdictVERDICT_EXTENSION_HEADER:   {"extension_header", "IPv6 extension headers towards a service: not supported yet"},
	pathVerdictVERDICT_VLAN:               {"vlan", "a tagged frame for a service: not supported yet"},
	pathVerdictVERDICT_MARTIAN:            {"martian", "a source that cannot be: loopback, multicast, or the service itself"},
	pathVerdictVERDICT_TTL_EXCEEDED:       {"ttl_exceeded", "TTL or hop limit was 1"},
	pathVerdictVERDICT_NO_NEIGHBOUR:       {"no_neighbour", "the next hop's MAC is not known yet; the daemon was asked to resolve it"},
	pathVerdictVERDICT_NO_ROUTE:           {"no_route", "no way to the server, or back to the client"},
	pathVerdictVERDICT_TOO_BIG:            {"too_big", "larger than the MTU of the way to the server or client"},
	pathVerdictVERDICT_SERVER_GONE:        {"server_gone", "the connection's server was removed or replaced"},
	pathVerdictVERDICT_CONN_FULL:          {"conn_full", "the connection table is full"},
	pathVerdictVERDICT_NAT_CLASH:          {"nat_clash", "no server could be found whose way back was free"},
	pathVerdictVERDICT_NO_HEADROOM:        {"no_headroom", "the driver left no room for an outer header"},
}
