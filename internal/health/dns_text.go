// SPDX-License-Identifier: Apache-2.0

package health

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/weir-lb/weir/internal/model"
)

// wantedText is the wanted answer in the spelling of recordTexts.
func wantedText(ask model.AskDNS) string {
	if ask.Type == "TXT" {
		return ask.Answer
	}
	if a, err := netip.ParseAddr(ask.Answer); err == nil {
		return a.String()
	}
	return spelled(ask.Answer)
}

// recordTexts are the ways to write a record down: as zone files do, or what matters of it alone.
func recordTexts(body dnsmessage.ResourceBody) []string {
	switch r := body.(type) {
	case *dnsmessage.AResource:
		return []string{netip.AddrFrom4(r.A).String()}
	case *dnsmessage.AAAAResource:
		return []string{netip.AddrFrom16(r.AAAA).String()}
	case *dnsmessage.NSResource:
		return []string{spelled(r.NS.String())}
	case *dnsmessage.CNAMEResource:
		return []string{spelled(r.CNAME.String())}
	case *dnsmessage.PTRResource:
		return []string{spelled(r.PTR.String())}
	case *dnsmessage.MXResource:
		host := spelled(r.MX.String())
		return []string{host, fmt.Sprintf("%d %s", r.Pref, host)}
	case *dnsmessage.SRVResource:
		host := spelled(r.Target.String())
		return []string{host, fmt.Sprintf("%d %d %d %s", r.Priority, r.Weight, r.Port, host)}
	case *dnsmessage.SOAResource:
		return []string{spelled(r.NS.String()), strconv.FormatUint(uint64(r.Serial), 10)}
	case *dnsmessage.TXTResource:
		return []string{strings.Join(r.TXT, "")}
	}
	return nil
}

// spelled is a name without what DNS does not tell apart.
func spelled(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }
