package main

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"testing"
)

func TestRunServesUntilItsInputEnds(t *testing.T) {
	t.Parallel()
	stdin, end := io.Pipe()
	out, stdout := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- run(t.Context(), []string{"-basic", "-user", "u:p"}, stdin, stdout) }()
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil {
		t.Fatal(err)
	}
	var at struct{ Host string }
	if err := json.Unmarshal(line, &at); err != nil {
		t.Fatal(err)
	}
	resp, err := http.Get("http://" + at.Host + "/v2/")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("got %d", resp.StatusCode)
	}
	_ = end.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
