// SPDX-License-Identifier: Apache-2.0

package health

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/weir-lb/weir/internal/model"
)

// probeSMTP goes as far as EHLO (RFC 5321 sections 3.1 and 3.2), which a server that only lives does not answer.
func probeSMTP(ask model.AskSMTP) (probe, error) {
	hello := "EHLO " + cmp.Or(ask.Hello, model.DefaultHello) + "\r\n"
	return conversation(func(t *talk) error {
		if err := t.coded("smtp", "220"); err != nil {
			return err
		}
		if err := t.say("EHLO", hello); err != nil {
			return err
		}
		if err := t.coded("smtp", "250"); err != nil {
			return err
		}
		t.part("QUIT\r\n")
		return nil
	}), nil
}

// probeFTP wants the greeting of RFC 959 section 5.4. 120, "ready in some minutes", is none.
func probeFTP(model.AskFTP) (probe, error) {
	return conversation(func(t *talk) error {
		if err := t.coded("ftp", "220"); err != nil {
			return err
		}
		t.part("QUIT\r\n")
		return nil
	}), nil
}

// probeIMAP wants a greeting (RFC 9051 section 7.1). The third kind, BYE, refuses.
func probeIMAP(model.AskIMAP) (probe, error) {
	return conversation(func(t *talk) error {
		return t.greeted("imap", "a1 LOGOUT\r\n", "* OK", "* PREAUTH")
	}), nil
}

// probePOP3 wants a greeting (RFC 1939 section 4).
func probePOP3(model.AskPOP3) (probe, error) {
	return conversation(func(t *talk) error {
		return t.greeted("pop3", "QUIT\r\n", "+OK")
	}), nil
}

// greeted wants one of several words first, and leaves.
func (t *talk) greeted(kind, goodbye string, words ...string) error {
	line, err := t.line()
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(words, func(word string) bool { return begins(line, word) }) {
		return fmt.Errorf("%s: %s", kind, shown(line))
	}
	t.part(goodbye)
	return nil
}

// coded wants a reply with this code. Of several lines, the first has a hyphen behind the code, and the last a
// space (RFC 5321 section 4.2.1); what is between may be anything in FTP (RFC 959 section 4.2).
func (t *talk) coded(kind, code string) error {
	line, err := t.line()
	if err != nil {
		return err
	}
	if !begins(line, code) && !strings.HasPrefix(line, code+"-") {
		return fmt.Errorf("%s %s, expected %s", kind, shown(line), code)
	}
	for !begins(line, code) {
		if line, err = t.line(); err != nil {
			return err
		}
	}
	return nil
}

// begins tells whether a line is a word, or goes on behind it with a space. Case does not matter.
func begins(line, word string) bool {
	if len(line) < len(word) || !strings.EqualFold(line[:len(word)], word) {
		return false
	}
	return len(line) == len(word) || line[len(word)] == ' '
}
