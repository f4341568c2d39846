// The trivial server that records are pushed to: it answers 200 at once, and notes whose record came when.
//
// Only on loopback. `POST /begin` names the process whose use of the processor counts, how many records a pass has, how
// many passes there are, and the file for the last one's result; the log of indices lies beside it.
package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	index = 8
	ticks = 100.0
)

type run struct {
	sync.Mutex
	pid, result     string
	records, passes int
	log             []byte
	noted           int
	begun           time.Time
	cpu             float64
}

func (r *run) begin(w http.ResponseWriter, q *http.Request) {
	r.Lock()
	defer r.Unlock()
	r.pid, r.result = q.FormValue("pid"), q.FormValue("result")
	r.records, _ = strconv.Atoi(q.FormValue("records"))
	r.passes, _ = strconv.Atoi(q.FormValue("passes"))
	r.noted, r.log = 0, nil
}

func (r *run) record(w http.ResponseWriter, q *http.Request) {
	body, err := io.ReadAll(q.Body)
	if err != nil || len(body) < index {
		http.Error(w, "no record", http.StatusBadRequest)
		return
	}
	r.note(body[:index])
	io.WriteString(w, "ok")
}

func (r *run) note(what []byte) {
	r.Lock()
	defer r.Unlock()
	if r.noted == 0 {
		r.begun, r.cpu = time.Now(), used(r.pid)
	}
	r.noted++
	r.log = append(r.log, what...)
	if r.noted == r.records {
		r.end()
	}
}

func (r *run) end() {
	seconds, cpu := time.Since(r.begun).Seconds(), used(r.pid)-r.cpu
	if r.passes--; r.passes == 0 {
		told := fmt.Sprintf(`{"seconds": %f, "cpu": %f, "delays": []}`, seconds, cpu)
		must(os.WriteFile(strings.TrimSuffix(r.result, ".json")+".log", r.log, 0o600))
		must(os.WriteFile(r.result+".half", []byte(told), 0o600))
		must(os.Rename(r.result+".half", r.result))
	}
	r.noted, r.log = 0, nil
}

// used returns the seconds of a processor that a process has used (proc(5), stat, fields 14 and 15).
func used(pid string) float64 {
	text, err := os.ReadFile("/proc/" + pid + "/stat")
	must(err)
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	user, _ := strconv.ParseFloat(fields[11], 64)
	system, _ := strconv.ParseFloat(fields[12], 64)
	return (user + system) / ticks
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	r := &run{}
	http.HandleFunc("POST /begin", r.begin)
	http.HandleFunc("POST /record", r.record)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	fmt.Println(listener.Addr())
	must(http.Serve(listener, nil))
}
