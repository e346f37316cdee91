// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/trust"
)

const (
	// webhookAll is how long a request may take, with its answer.
	webhookAll = 10 * time.Second
	// mostAnswer is how much of an answer is read, in bytes.
	mostAnswer = 1024
	// signature is the header of the HMAC, by which a receiver knows that the body is ours.
	signature = "X-Weir-Signature"
)

// webhook posts JSON.
type webhook struct {
	how    model.ByWebhook
	host   string
	client *http.Client
}

func newWebhook(how model.ByWebhook, host string) *webhook {
	return &webhook{how, host, &http.Client{
		Timeout:   webhookAll,
		Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, IdleConnTimeout: time.Minute},
		// Behind a redirect a POST would become a GET.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// open looks whether the secret is there.
func (w *webhook) open() error {
	if w.how.SecretFile == "" {
		return nil
	}
	return trust.SecretFile(w.how.SecretFile)
}

func (w *webhook) close() { w.client.CloseIdleConnections() }

func (w *webhook) send(ctx context.Context, m message) error {
	request, err := w.request(ctx, m)
	if err != nil {
		return err
	}
	answer, err := w.client.Do(request)
	if err != nil {
		return fmt.Errorf("%s: %w", request.URL.Host, withoutURL(err))
	}
	defer answer.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(answer.Body, mostAnswer)) // the status has decided already
	return verdict(request.URL.Host, answer.StatusCode, model.OneLine(string(text)))
}

func (w *webhook) request(ctx context.Context, m message) (*http.Request, error) {
	body, err := payload(w.how.Template, m, w.host)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.how.URL, bytes.NewReader(body))
	if err != nil {
		return nil, withoutURL(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "weir")
	if w.how.SecretFile == "" {
		return request, nil
	}
	secret, err := trust.Secret(w.how.SecretFile)
	if err != nil {
		return nil, err
	}
	request.Header.Set(signature, sign(secret, body))
	return request, nil
}

// sign is as GitHub's webhooks have it.
func sign(secret string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

// withoutURL keeps what may be a secret out of logs.
func withoutURL(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}

// verdict: who refuses what was asked would refuse it again, unless it came too late or too soon (RFC 9110 section
// 15.5, RFC 6585 section 4).
func verdict(host string, status int, text string) error {
	if status/100 == 2 {
		return nil
	}
	err := fmt.Errorf("%s answers %d %s", host, status, http.StatusText(status))
	if text != "" {
		err = fmt.Errorf("%w: %s", err, text)
	}
	if status/100 == 4 && status != http.StatusRequestTimeout && status != http.StatusTooManyRequests {
		return finalError{err}
	}
	return err
}
