// SPDX-License-Identifier: Apache-2.0

package health

import (
	"slices"
	"testing"

	"github.com/weir-lb/weir/internal/model"
)

func TestRedisServersAreJudged(t *testing.T) {
	pongs := func(ping string) lineTest {
		return lineTest{server: dialogue("", map[string]string{"PING": ping}, nil)}
	}
	bad := func(ping, want string) lineTest {
		tt := pongs(ping)
		tt.want = want
		return tt
	}
	runLineTests(t, probeMade(probeRedis(model.AskRedis{})), map[string]lineTest{
		"good": pongs("+PONG\r\n"),
		"loading": bad("-LOADING Redis is loading the dataset in memory\r\n",
			"redis: -LOADING Redis is loading the dataset in memory"),
		"master down": bad("-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.\r\n",
			"redis: -MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set…"),
		"no password": bad("-NOAUTH Authentication required.\r\n", "redis: -NOAUTH Authentication required."),
		"web":         bad("HTTP/1.1 400 Bad Request\r\n", "redis: HTTP/1.1 400 Bad Request, expected +PONG"),
		"silent":      bad("", "no answer to PING"),
		"closes":      {answersAndCloses(""), "closed before the answer to PING"},
	})
}

func TestRedisPasswordComesFirst(t *testing.T) {
	const wrong = "-WRONGPASS invalid username-password pair or user is disabled."
	runLineTests(t, probeMade(probeRedis(model.AskRedis{Password: "s3cret"})), map[string]lineTest{
		"good":  {dialogue("", map[string]string{"s3cret": "+OK\r\n", "PING": "+PONG\r\n"}, nil), ""},
		"wrong": {dialogue("", map[string]string{"s3cret": wrong + "\r\n"}, nil), "redis: " + wrong},
		"then loading": {dialogue("", map[string]string{"s3cret": "+OK\r\n", "PING": "-LOADING x\r\n"}, nil),
			"redis: -LOADING x"},
		"odd": {dialogue("", map[string]string{"s3cret": "+PONG\r\n"}, nil), "redis: +PONG, expected +OK"},
	})
}

// TestRedisCommandsAreBulkStrings: nothing in a password can become a command.
func TestRedisCommandsAreBulkStrings(t *testing.T) {
	heard := make(chan string, 10)
	to := lineServer(t, dialogue("", map[string]string{`a"$b`: "+OK\r\n", "PING": "+PONG\r\n"}, heard))
	wantReason(t, answered(t, probeMade(probeRedis(model.AskRedis{Password: `a"$b`})), to, forever), "")
	want := []string{"*2", "$4", "AUTH", "$4", `a"$b`, "*1", "$4", "PING"}
	var got []string
	for range want {
		got = append(got, hears(t, heard))
	}
	if !slices.Equal(got, want) {
		t.Errorf("it heard %q, want %q", got, want)
	}
}
