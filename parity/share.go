// SPDX-License-Identifier: Apache-2.0

package parity

import (
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
)

// Where shares are compared more clients ask than in the record: enough for chance to stay within
// tolerance, which is more than three standard deviations of a server's share.
const (
	crowd     = 500
	returning = 30  // of the crowd, who come again from another port
	tolerance = 7.0 // in percent of all connections
	disturbed = 7.0 // percent of clients that move without need, beyond what IPVS moves
)

// Crowd is the row's clients, only more: so many hosts, some of them twice, or ports of one host.
func (r Row) Crowd() []Ask {
	var out []Ask
	from, to := r.Asks[0].From, r.Asks[0].To
	if r.oneHost() {
		for i := range crowd {
			out = append(out, Ask{netip.AddrPortFrom(from.Addr(), from.Port()+uint16(i)), to})
		}
		return out
	}
	for host := from.Addr(); len(out) < crowd; host = host.Next() {
		out = append(out, Ask{netip.AddrPortFrom(host, from.Port()), to})
	}
	for _, ask := range out[:returning] {
		out = append(out, Ask{netip.AddrPortFrom(ask.From.Addr(), from.Port()+1), to})
	}
	return out
}

// oneHost tells that all ask from one host.
func (r Row) oneHost() bool {
	for _, ask := range r.Asks {
		if ask.From.Addr() != r.Asks[0].From.Addr() {
			return false
		}
	}
	return true
}

// JudgeShares judges what a crowd picked: each server has what its weight says, and each client of a
// hash one server.
func (r Row) JudgeShares(asks []Ask, picks []string) Result {
	perHost := !r.draws() && !r.Has("port")
	if note := strayed(asks, picks); perHost && note != "" {
		return Result{r, Differs, note}
	}
	if perHost && r.oneHost() {
		return Result{r, Shared, fmt.Sprintf("server %s has the client, in IPVS server %s", picks[0], r.Picks[0])}
	}
	shares, lost := sharesOf(picks, len(r.Weights))
	note := percents(shares) + ", weights say " + percents(r.due())
	if lost > 0 {
		return Result{r, Differs, fmt.Sprintf("%d of %d refused; %s", lost, len(picks), note)}
	}
	for i, due := range r.due() {
		if math.Abs(shares[i]-due) > tolerance {
			return Result{r, Differs, note}
		}
	}
	if n := count(r.Picks, Refused); n > 0 {
		note += fmt.Sprintf("; IPVS refuses %d of %d", n, len(r.Picks))
	}
	return Result{r, Shared, note}
}

// strayed is the first client that has another server than before; "": there is none.
func strayed(asks []Ask, picks []string) string {
	home := map[netip.Addr]string{}
	for i, ask := range asks {
		host := ask.From.Addr()
		if had, known := home[host]; known && had != picks[i] {
			return fmt.Sprintf("client %v had %s, then %s", host, who(had), who(picks[i]))
		}
		home[host] = picks[i]
	}
	return ""
}

// sharesOf is each server's part of the connections in percent, and how many nobody took.
func sharesOf(picks []string, servers int) (shares []float64, lost int) {
	shares = make([]float64, servers)
	for _, pick := range picks {
		n, err := strconv.Atoi(pick)
		if err != nil || n > servers {
			lost++
			continue
		}
		shares[n-1] += 100 / float64(len(picks))
	}
	return shares, lost
}

// due is what each server's weight says, in percent.
func (r Row) due() []float64 {
	weights := r.final()
	sum := 0
	for _, w := range weights {
		sum += w
	}
	out := make([]float64, len(weights))
	for i, w := range weights {
		out[i] = 100 * float64(w) / float64(max(sum, 1))
	}
	return out
}

func percents(shares []float64) string {
	var words []string
	for _, s := range shares {
		words = append(words, strconv.FormatFloat(s, 'f', 0, 64))
	}
	return strings.Join(words, " ") + " %"
}

func count(picks []string, what string) (n int) {
	for _, pick := range picks {
		if pick == what {
			n++
		}
	}
	return n
}

// Before is the row of the same clients in which the server that is removed in r is still there; false:
// there is none.
func (r Row) Before(rows []Row) (Row, bool) {
	for _, other := range rows {
		same := other.Name() == r.Name() && other.Keep == r.Keep && len(other.Asks) > 0 && other.Asks[0].From == r.Asks[0].From
		if same && r.Change.Removed && other.Change == (Change{}) {
			return other, true
		}
	}
	return Row{}, false
}

// Moved is the part, in percent, of clients that had a server which stays and yet have another one.
func (r Row) Moved(before, after []string) float64 {
	stay, moved := 0, 0
	for i, had := range before[:min(len(before), len(after))] {
		if had == strconv.Itoa(r.Change.Server) {
			continue
		}
		stay++
		if had != after[i] {
			moved++
		}
	}
	return 100 * float64(moved) / float64(max(stay, 1))
}

// JudgeMoved adds to a result how many clients the removal moved without need.
func (r Result) JudgeMoved(weir, ipvs float64) Result {
	r.Note += fmt.Sprintf("; of other servers' clients %.1f %% move, in IPVS %.1f %%", weir, ipvs)
	if weir > ipvs+disturbed {
		r.Verdict = Differs
	}
	return r
}
