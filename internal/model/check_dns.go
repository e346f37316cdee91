// SPDX-License-Identifier: Apache-2.0

package model

// AskDNS asks a name server. The zero value asks for the root, which every resolver knows.
type AskDNS struct {
	Name   string // without the dot at its end; "": the root
	Type   string // one of DNSTypes; "": DefaultDNSType
	Rcode  string // one of DNSRcodes: the good one; "": DefaultDNSRcode
	Answer string // what must be among the answers; "": there may be any, or none
	TCP    bool
}

func (AskDNS) Kind() string { return "dns" }

// What is asked and wanted where nothing else is said.
const (
	DefaultDNSType  = "A"
	DefaultDNSRcode = "NOERROR"
)

// DNSTypes are those that may be asked for, the default first.
func DNSTypes() []string {
	return []string{DefaultDNSType, "AAAA", "NS", "MX", "TXT", "SOA", "CNAME", "PTR", "SRV"}
}

// DNSRcodes are the names of response codes, each at the place of its number (RFC 6895 section 2.3).
func DNSRcodes() []string {
	return []string{DefaultDNSRcode, "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED",
		"YXDOMAIN", "YXRRSET", "NXRRSET", "NOTAUTH", "NOTZONE"}
}
