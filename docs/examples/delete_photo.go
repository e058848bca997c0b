// Deletes a profile photo through bigin-photo-proxy, and prints what became of it.
//
//	go run delete_photo.go http://127.0.0.1:8080 Contacts 2034020000000489033 erasure-4711
package main

import (
	"fmt"
	"io"
	"math/rand"
	"net/http"
	"os"
	"strconv"
	"time"
)

const (
	tries    = 4
	patience = 60 * time.Second // whoever is to wait longer comes again later
)

// Longer than the proxy takes, so that its answer is heard.
var client = &http.Client{Timeout: 20 * time.Second}

// answer is what one try brings.
type answer struct {
	status     int
	outcome    string
	retryAfter time.Duration
	body       string
}

func ask(url, requestID string) (answer, error) {
	request, err := http.NewRequest(http.MethodDelete, url, nil)
	if err != nil {
		return answer{}, err
	}
	request.Header.Set("X-Request-Id", requestID)
	request.Header.Set("Request-Timeout", "15")
	response, err := client.Do(request)
	if err != nil {
		return answer{outcome: "unknown", body: err.Error()}, nil
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return answer{outcome: "unknown", body: err.Error()}, nil
	}
	outcome := response.Header.Get("Delete-Outcome")
	if outcome == "" {
		outcome = "unknown" // somebody else's answer: nobody knows
	}
	seconds, _ := strconv.Atoi(response.Header.Get("Retry-After")) // 0 without one
	return answer{response.StatusCode, outcome, time.Duration(seconds) * time.Second, string(body)}, nil
}

// deletePhoto returns what became of the photo, and the last answer.
func deletePhoto(base, module, recordID, requestID string) (outcome, body string, err error) {
	url := fmt.Sprintf("%s/bigin/v2/%s/%s/photo", base, module, recordID)
	perhapsDeleted := false
	for try := 1; ; try++ {
		got, err := ask(url, requestID)
		if err != nil {
			return "", "", err
		}
		perhapsDeleted = perhapsDeleted || got.outcome == "unknown"

		if got.outcome == "deleted" {
			return got.outcome, got.body, nil
		}
		again := got.outcome == "unknown" || got.status == http.StatusTooManyRequests || got.status >= 500
		if !again || got.retryAfter > patience || try == tries {
			if perhapsDeleted {
				return "unknown", got.body, nil // what an earlier try may have done, only a success settles
			}
			return got.outcome, got.body, nil
		}
		jitter := time.Duration(rand.Int63n(int64(time.Second) << (try - 1)))
		time.Sleep(got.retryAfter + jitter)
	}
}

func main() {
	outcome, body, err := deletePhoto(os.Args[1], os.Args[2], os.Args[3], os.Args[4])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	fmt.Println(outcome, body)
	if outcome != "deleted" {
		os.Exit(1)
	}
}
