// SPDX-License-Identifier: Apache-2.0

package address

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/userdata"
	"github.com/mdlayher/netlink"

	"github.com/weir-lb/weir/internal/model"
)

// keptClosed are those that are put back where somebody takes them away, as `nft flush ruleset` does.
type keptClosed struct {
	want []model.ClosedAddress
	mend mend
}

// closedPause is how long they may be away before somebody looks: nftables tells of its changes only who
// listens to all of them.
const closedPause = 5 * time.Second

// applyClosed makes the table of closed addresses what is wanted.
//
//	nft list table inet weir
func (t *Target) applyClosed(wants []model.ClosedAddress) error {
	t.closed.mend.replaced()
	err := t.putClosed(wants)
	t.closed.lookAgain(time.Now())
	return err
}

// mendClosed looks whether what was wanted last is there still.
func (t *Target) mendClosed(now time.Time) error {
	if !t.closed.mend.isDue(now) {
		return nil
	}
	told := t.closed.mend.done(now, t.putClosed(t.closed.want))
	t.closed.lookAgain(now)
	return told
}

func (k *keptClosed) lookAgain(now time.Time) {
	if len(k.want) > 0 && k.mend.due.IsZero() {
		k.mend.due = now.Add(closedPause)
	}
}

// putClosed replaces the whole table in one transaction, if it has other rules: packets meet the one or the other.
func (t *Target) putClosed(wants []model.ClosedAddress) error {
	t.closed.want = wants
	if len(wants) == 0 {
		return t.journal.restore(isClosedTable)
	}
	rules := closedRules(wants)
	have, err := closedHave()
	if err == nil && !slices.Equal(have, comments(rules)) {
		err = t.replaceClosed(rules, have != nil)
	}
	if err != nil {
		return fmt.Errorf("accept: false, by nftables: %w", err)
	}
	return nil
}

// replaceClosed removes no table that weir has not made.
func (t *Target) replaceClosed(rules []closedRule, there bool) error {
	if there && len(t.journal.matching(isClosedTable)) == 0 {
		return errors.New("somebody else has a table inet " + closedTable + "; if nobody needs it: nft delete table inet " + closedTable)
	}
	if err := t.journal.record(change{Kind: closedChange}); err != nil {
		return err
	}
	conn, err := firewall()
	if err != nil {
		return err
	}
	table := conn.AddTable(tableOfClosed()) // so that there is one to remove
	conn.DelTable(table)
	conn.AddTable(table)
	policy := nftables.ChainPolicyAccept
	chain := conn.AddChain(&nftables.Chain{Name: closedChain, Table: table, Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookInput, Priority: nftables.ChainPriorityFilter, Policy: &policy})
	for _, r := range rules {
		conn.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: r.exprs,
			UserData: userdata.AppendString(nil, userdata.TypeComment, r.comment)})
	}
	return conn.Flush()
}

// closedHave are the comments of the rules that are there; nil: there is no table.
func closedHave() ([]string, error) {
	conn, err := firewall()
	if err != nil {
		return nil, err
	}
	tables, err := conn.ListTablesOfFamily(nftables.TableFamilyINet)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(tables, func(t *nftables.Table) bool { return t.Name == closedTable }) {
		return nil, nil
	}
	rules, err := conn.GetRules(tableOfClosed(), &nftables.Chain{Name: closedChain})
	if err != nil {
		return nil, err
	}
	have := []string{}
	for _, r := range rules {
		comment, _ := userdata.GetString(r.UserData, userdata.TypeComment)
		have = append(have, comment)
	}
	return have, nil
}

// undoClosed removes the table.
func (c change) undoClosed() error {
	have, err := closedHave()
	if err != nil || have == nil {
		return err
	}
	conn, err := firewall()
	if err != nil {
		return err
	}
	conn.DelTable(tableOfClosed())
	return conn.Flush()
}

func isClosedTable(c change) bool { return c.Kind == closedChange }

const (
	closedTable = "weir"
	closedChain = "closed"
)

func tableOfClosed() *nftables.Table {
	return &nftables.Table{Family: nftables.TableFamilyINet, Name: closedTable}
}

// firewall is nftables of the calling thread's network namespace. A transaction is one message, and has an answer for
// each rule: the kernel's usual buffers hold a few hundred.
func firewall() (*nftables.Conn, error) {
	const buffer = 16 << 20
	return nftables.New(nftables.WithSockOptions(func(c *netlink.Conn) error {
		return errors.Join(c.SetWriteBuffer(buffer), c.SetReadBuffer(buffer))
	}))
}
