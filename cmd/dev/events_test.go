package main

import (
	"errors"
	"strings"
	"testing"
)

func TestResults(t *testing.T) {
	failed := errors.New("exit status 1")
	tests := []struct {
		name      string
		events    string
		runErr    error
		want      string // all that is printed
		wantErr   []string
		wantNoErr bool
	}{
		{
			name: "passed",
			events: `{"Action":"run","Test":"TestA"}
{"Action":"output","Test":"TestA","Output":"=== RUN   TestA\n"}
{"Action":"output","Test":"TestA/sub","Output":"noise\n"}
{"Action":"pass","Test":"TestA/sub","Elapsed":1}
{"Action":"pass","Test":"TestA","Elapsed":1.5}
{"Action":"output","Output":"ok  \tpkg\t2s\n"}
{"Action":"pass","Elapsed":2}
`,
			want:      "pass  TestA (1.5s)\nok  \tpkg\t2s\nend-to-end: 1 tests passed against Vault v1\n",
			wantNoErr: true,
		},
		{
			name: "failed",
			events: `{"Action":"output","Test":"TestA","Output":"=== RUN   TestA\n"}
{"Action":"output","Test":"TestA/sub","Output":"    got 1, want 2\n"}
{"Action":"output","Test":"TestA","Output":"--- FAIL: TestA (0.00s)\n"}
{"Action":"fail","Test":"TestA/sub"}
{"Action":"fail","Test":"TestA"}
{"Action":"pass","Test":"TestB","Elapsed":0}
{"Action":"output","Output":"FAIL\n"}
{"Action":"fail"}
`,
			runErr:  failed,
			want:    "    got 1, want 2\n--- FAIL: TestA (0.00s)\npass  TestB (0s)\nFAIL\n",
			wantErr: []string{"1 tests passed, 1 failed against Vault v1", "exit status 1"},
		},
		{
			name: "cut off by a panic",
			events: `{"Action":"output","Test":"TestA","Output":"panic: oh\n"}
{"Action":"fail"}
`,
			runErr:  failed,
			want:    "panic: oh\n",
			wantErr: []string{"0 tests passed, 0 failed"},
		},
		{
			name: "did not compile",
			events: `{"Action":"build-output","Output":"x.go:1: no\n"}
{"Action":"fail"}
not JSON
`,
			runErr:  failed,
			want:    "x.go:1: no\nnot JSON\n",
			wantErr: []string{"0 tests passed, 0 failed"},
		},
		{
			name: "skipped a test",
			events: `{"Action":"skip","Test":"TestA","Elapsed":0}
{"Action":"pass","Test":"TestB","Elapsed":0}
`,
			want:    "skip  TestA (0s)\npass  TestB (0s)\n",
			wantErr: []string{"not allowed: TestA"},
		},
		{
			name: "skipped a subtest",
			events: `{"Action":"skip","Test":"TestA/sub"}
{"Action":"pass","Test":"TestA","Elapsed":0}
`,
			want:    "pass  TestA (0s)\n",
			wantErr: []string{"not allowed: TestA/sub"},
		},
		{name: "ran nothing", events: `{"Action":"pass"}` + "\n", wantErr: []string{"no test ran"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out strings.Builder
			r := &results{out: &out, printed: map[string]*strings.Builder{}}
			if err := scanLines(strings.NewReader(tt.events), r.read); err != nil {
				t.Fatal(err)
			}
			err := r.verdict("Vault v1", tt.runErr)
			if out.String() != tt.want {
				t.Errorf("printed\n%q\nwant\n%q", out.String(), tt.want)
			}
			if tt.wantNoErr != (err == nil) {
				t.Errorf("got error %v", err)
			}
			for _, part := range tt.wantErr {
				if err == nil || !strings.Contains(err.Error(), part) {
					t.Errorf("got error %v, want one with %q", err, part)
				}
			}
		})
	}
}
