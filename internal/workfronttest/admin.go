package workfronttest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// adminPrefix is where Options.Admin mounts what stands in for the clicks in Workfront's Setup, for scripts.
const adminPrefix = "/simulator/"

// maxAdminBody leaves room for a fault with a huge body.
const maxAdminBody = 32 << 20

type adminFailure struct {
	Error string `json:"error"`
}

// faultJSON is a Fault in JSON; delay is a Go duration such as "2s".
type faultJSON struct {
	Endpoint Endpoint          `json:"endpoint"`
	Times    int               `json:"times"`
	Delay    duration          `json:"delay"`
	Hang     HangPoint         `json:"hang"`
	Reset    ResetPoint        `json:"reset"`
	Apply    bool              `json:"apply"`
	Status   int               `json:"status"`
	Header   map[string]string `json:"header"`
	Body     string            `json:"body"`
	Gateway  Gateway           `json:"gateway"`
}

type duration time.Duration

func (d *duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	*d = duration(parsed)
	return err
}

// serveAdmin is the administration API. Faults do not hit it, and it shows up in no count but that of connections.
func (s *Server) serveAdmin(w http.ResponseWriter, r *http.Request) {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /simulator/applications/{client_id}/public-keys", s.adminAddPublicKey)
	mux.HandleFunc("GET /simulator/stats", func(w http.ResponseWriter, _ *http.Request) { writeAdmin(w, http.StatusOK, s.Stats()) })
	mux.HandleFunc("POST /simulator/faults", s.adminInject)
	mux.HandleFunc("DELETE /simulator/faults", func(w http.ResponseWriter, _ *http.Request) {
		s.ClearFaults()
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("PUT /simulator/behaviour", s.adminSetBehaviour)
	r.Body = http.MaxBytesReader(w, r.Body, maxAdminBody)
	recorder := &statusRecorder{ResponseWriter: w, status: http.StatusOK}
	mux.ServeHTTP(recorder, r)
	if s.log != nil {
		s.log(Request{
			Time: s.now(), Method: r.Method, Path: r.URL.Path, RemoteAddr: r.RemoteAddr, Header: r.Header,
			Status: recorder.status,
		})
	}
}

// statusRecorder remembers the status for the log.
type statusRecorder struct {
	http.ResponseWriter
	status int
}

func (r *statusRecorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

func (s *Server) adminAddPublicKey(w http.ResponseWriter, r *http.Request) {
	pem, err := io.ReadAll(r.Body)
	if err != nil {
		writeAdmin(w, http.StatusBadRequest, adminFailure{err.Error()})
		return
	}
	fingerprint, err := s.AddPublicKey(r.PathValue("client_id"), r.URL.Query().Get("user_id"), string(pem))
	if err != nil {
		writeAdmin(w, http.StatusBadRequest, adminFailure{err.Error()})
		return
	}
	writeAdmin(w, http.StatusCreated, map[string]string{"fingerprint_sha256": fingerprint})
}

func (s *Server) adminInject(w http.ResponseWriter, r *http.Request) {
	var in faultJSON
	if err := readAdmin(r, &in); err != nil {
		writeAdmin(w, http.StatusBadRequest, adminFailure{err.Error()})
		return
	}
	header := http.Header{}
	for name, value := range in.Header {
		header.Set(name, value)
	}
	f := Fault{
		Endpoint: in.Endpoint, Times: in.Times, Delay: time.Duration(in.Delay), Hang: in.Hang, Reset: in.Reset,
		Apply: in.Apply, Status: in.Status, Header: header, Body: in.Body, Gateway: in.Gateway,
	}
	if err := f.validate(); err != nil {
		writeAdmin(w, http.StatusBadRequest, adminFailure{err.Error()})
		return
	}
	s.Inject(f)
	w.WriteHeader(http.StatusNoContent)
}

// adminSetBehaviour sets the fields that are named, and all others back to what the server started with.
func (s *Server) adminSetBehaviour(w http.ResponseWriter, r *http.Request) {
	var members map[string]json.RawMessage
	err := readAdmin(r, &members)
	b := s.initial
	if err == nil {
		err = b.setMembers(members)
	}
	if err != nil {
		writeAdmin(w, http.StatusBadRequest, adminFailure{err.Error()})
		return
	}
	s.SetBehaviour(b)
	w.WriteHeader(http.StatusNoContent)
}

// readAdmin reads one JSON object and refuses unknown members: a misspelt fault would be one that never happens.
func readAdmin(r *http.Request, into any) error {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("read body: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("read body: something follows the JSON object")
	}
	return nil
}

func writeAdmin(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", jsonType)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client may be gone, which is its own affair
}
