// A function in Go: its own loop over the Runtime API, by the standard library alone.
package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

type event struct {
	Order string `json:"order"`
}

var shop *http.Client

func order(id string) (json.RawMessage, error) {
	body, _ := json.Marshal(map[string]string{"id": id})
	answer, err := shop.Post(os.Getenv("SHOP")+"/orders", "application/json", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	return io.ReadAll(answer.Body)
}

// Three at once, as real handlers do, and a program besides.
func handle(given event) (json.RawMessage, error) {
	var all sync.WaitGroup
	var first json.RawMessage
	var failure error
	for number, id := range []string{given.Order, "second", "third"} {
		all.Add(1)
		go func(number int, id string) {
			defer all.Done()
			if found, err := order(id); number == 0 {
				first, failure = found, err
			}
		}(number, id)
	}
	all.Wait()
	if failure != nil {
		return nil, failure
	}
	if said, err := exec.Command("uname", "-s").Output(); err != nil || strings.TrimSpace(string(said)) != "Linux" {
		return nil, fmt.Errorf("uname: %q, %v", said, err)
	}
	return first, nil
}

func main() {
	pool := x509.NewCertPool()
	if pem, err := os.ReadFile(os.Getenv("CA")); err == nil {
		pool.AppendCertsFromPEM(pem)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	shop = &http.Client{Transport: transport, Timeout: 10 * time.Second}
	api := "http://" + os.Getenv("AWS_LAMBDA_RUNTIME_API") + "/2018-06-01/runtime/invocation/"
	for {
		next, err := http.Get(api + "next")
		if err != nil {
			os.Exit(1)
		}
		var given event
		err = json.NewDecoder(next.Body).Decode(&given)
		next.Body.Close()
		place, id := "/response", next.Header.Get("Lambda-Runtime-Aws-Request-Id")
		var said []byte
		if err == nil {
			said, err = handle(given)
		}
		if err != nil {
			place = "/error"
			said, _ = json.Marshal(map[string]string{"errorType": "Failure", "errorMessage": err.Error()})
		}
		told, err := http.Post(api+id+place, "application/json", bytes.NewReader(said))
		if err != nil {
			os.Exit(1)
		}
		told.Body.Close()
	}
}
