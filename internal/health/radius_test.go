// SPDX-License-Identifier: Apache-2.0

package health

import (
	"crypto/md5"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/weir-lb/weir/internal/model"
)

// radiusReply answers a request as a server with this secret does (RFC 2865 section 3).
func radiusReply(request []byte, secret string, code radiusCode, attributes ...byte) []byte {
	out := append([]byte{byte(code), request[1], 0, 0}, request[4:20]...)
	out = append(out, attributes...)
	binary.BigEndian.PutUint16(out[2:], uint16(len(out)))
	if i := len(out) - md5.Size - 2; i >= radiusHeader && out[i] == radiusSignature {
		copy(out[i+2:], radiusMAC(out, secret))
	}
	sum := md5.Sum(append(append([]byte{}, out...), secret...))
	copy(out[4:], sum[:])
	return out
}

func TestRADIUSServersAreJudged(t *testing.T) {
	const secret = "s3cret"
	signature := attribute(nil, radiusSignature, make([]byte, md5.Size))
	text := attribute(nil, radiusReplyMessage, []byte("go\x1baway"))
	replies := func(by string, code radiusCode, attributes ...byte) func([]byte) [][]byte {
		return func(request []byte) [][]byte { return [][]byte{radiusReply(request, by, code, attributes...)} }
	}
	changed := func(change func([]byte) []byte) func([]byte) [][]byte {
		return func(request []byte) [][]byte {
			return [][]byte{change(radiusReply(request, secret, accessAccept, signature...))}
		}
	}
	status, login := model.AskRADIUS{}, model.AskRADIUS{User: "weir", PasswordFile: secretFile(t, "pässword")}
	either := login
	either.Reject = true
	const forged = "radius: 1 answers, none signed with our secret"
	for name, tt := range map[string]struct {
		ask    model.AskRADIUS
		answer func([]byte) [][]byte
		want   string
	}{
		"status":            {status, replies(secret, accessAccept), ""},
		"signed":            {status, replies(secret, accessAccept, signature...), ""},
		"accounting":        {status, replies(secret, accountingResponse), ""},
		"padded":            {status, changed(func(p []byte) []byte { return append(p, 0, 0, 0) }), ""},
		"accepted":          {login, replies(secret, accessAccept), ""},
		"rejected":          {login, replies(secret, accessReject), "radius: Access-Reject, expected Access-Accept"},
		"rejected, why":     {login, replies(secret, accessReject, text...), `radius: Access-Reject, expected Access-Accept: go\x1baway`},
		"rejected is good":  {either, replies(secret, accessReject), ""},
		"challenged":        {login, replies(secret, accessChallenge), "radius: Access-Challenge, expected Access-Accept"},
		"odd":               {status, replies(secret, 42), "radius: code 42, expected Access-Accept"},
		"other secret":      {status, replies("other", accessAccept), forged},
		"other id":          {status, changed(func(p []byte) []byte { p[1]++; return p }), forged},
		"bad signature":     {status, changed(func(p []byte) []byte { p[len(p)-1]++; return p }), forged},
		"longer than it is": {status, changed(func(p []byte) []byte { p[2] = 0xff; return p }), forged},
		"short":             {status, changed(func(p []byte) []byte { return p[:19] }), forged},
		"broken attribute":  {status, replies(secret, accessAccept, radiusReplyMessage, 1), forged},
		"cut attribute":     {status, replies(secret, accessAccept, radiusReplyMessage), forged},
		"silent":            {status, func([]byte) [][]byte { return nil }, "no answer"},
		"liar first": {status, func(r []byte) [][]byte {
			return [][]byte{[]byte("x"), radiusReply(r, "other", accessReject), radiusReply(r, secret, accessAccept)}
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			to, err := datagramServer(t, "127.0.0.1:0", tt.answer)
			if err != nil {
				t.Fatal(err)
			}
			within := forever
			if tt.want == "no answer" || tt.want == forged {
				within = soon
			}
			tt.ask.SecretFile = secretFile(t, secret)
			wantReason(t, answered(t, probeRADIUS(tt.ask), to, within), tt.want)
		})
	}
}

// TestRADIUSRequestsAreSigned looks at them as a server does.
func TestRADIUSRequestsAreSigned(t *testing.T) {
	r := radiusCheck{model.AskRADIUS{User: "weir", NAS: "lb1"}}
	request := r.request(7, [16]byte{1, 2, 3}, "s3cret", strings.Repeat("p", 20))
	if request[0] != byte(accessRequest) || request[1] != 7 || int(binary.BigEndian.Uint16(request[2:])) != len(request) {
		t.Errorf("it begins with %x", request[:20])
	}
	signature := request[22 : 22+md5.Size]
	if request[20] != radiusSignature || !isSigned(request, signature, "s3cret") || isSigned(request, signature, "other") {
		t.Errorf("it is not signed: %x", request)
	}
	if text := string(request); !strings.Contains(text, "\x20\x05lb1") || !strings.Contains(text, "\x01\x06weir") || strings.Contains(text, "pppp") {
		t.Errorf("%q", text)
	}
	if status := (radiusCheck{}).request(7, [16]byte{}, "s3cret", ""); status[0] != byte(statusServer) || len(status) != 20+18+6 {
		t.Errorf("%x", status)
	}
}

// TestPasswordsAreHiddenAsInTheRFC: the example of RFC 2865 section 7.1.
func TestPasswordsAreHiddenAsInTheRFC(t *testing.T) {
	authenticator, _ := hex.DecodeString("0f403f9473978057bd83d5cb98f4227a")
	if got := hex.EncodeToString(hidden("arctangent", "xyzzy5461", [16]byte(authenticator))); got != "0dbe708d93d413ce3196e43f782a0aee" {
		t.Errorf("got %s", got)
	}
	if n := len(hidden("", "s", [16]byte{})); n != 16 {
		t.Errorf("nothing is hidden in %d bytes", n)
	}
}
