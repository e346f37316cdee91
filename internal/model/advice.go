// SPDX-License-Identifier: Apache-2.0

package model

import "time"

// Advice is what a check says about the weight of its server, or of its certificate. The zero value says nothing.
type Advice struct {
	Given   bool
	Percent bool   // of the weight that the config has
	Weight  int    // 0: no new connections, but those that it has live on
	Says    string // who gave it in which words: "agent says 75%"

	Ends time.Time // of the certificate that the server shows, in UTC, when that is soon; zero: it is not, or nobody looks
}

// CertificateEnds is when the first of those ends that a server shows to its checks; zero: none does soon.
func (s Seen) CertificateEnds(service Service, server Server) (first time.Time) {
	for _, key := range service.Asks(server) {
		ends := s.Health[key].Advice.Ends
		if first.IsZero() || !ends.IsZero() && ends.Before(first) {
			first = ends
		}
	}
	return first
}

// Of is what becomes of a weight. What the config has quiesced stays so, and no part of a weight is none of it.
func (a Advice) Of(weight uint16) uint16 {
	switch {
	case !a.Given || weight == 0:
		return weight
	case a.Percent:
		return uint16(min((int(weight)*a.Weight+99)/100, MaxWeight))
	}
	return uint16(min(a.Weight, MaxWeight))
}

// Weight is that of a server by its checks: the lowest that one of them gives, and who gave it. Without advice it is
// what the config has.
func (s Seen) Weight(service Service, server Server) (weight uint16, advice Advice) {
	weight = server.Weight
	for _, key := range service.Asks(server) {
		a := s.Health[key].Advice
		if given := a.Of(server.Weight); a.Given && (!advice.Given || given < weight) {
			weight, advice = given, a
		}
	}
	return weight, advice
}
