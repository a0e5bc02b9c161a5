package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const mit = `MIT License

Copyright (c) 2026 Somebody

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and
associated documentation files (the "Software"), to deal in the Software without restriction,
including without limitation the rights to use, copy, modify, merge, publish, distribute,
sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial
portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT
NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND
NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES
OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN
CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
`

const wtfpl = `            DO WHAT THE FUCK YOU WANT TO PUBLIC LICENSE
                    Version 2, December 2004

 Copyright (C) 2004 Sam Hocevar <sam@hocevar.net>

 Everyone is permitted to copy and distribute verbatim or modified copies of this license document, and changing it is
 allowed as long as the name is changed.

            DO WHAT THE FUCK YOU WANT TO PUBLIC LICENSE
   TERMS AND CONDITIONS FOR COPYING, DISTRIBUTION AND MODIFICATION

  0. You just DO WHAT THE FUCK YOU WANT TO.
`

func TestLicenses(t *testing.T) {
	tests := []struct {
		name    string
		files   map[string]string
		want    []string
		wantErr string
	}{
		{"accepted", map[string]string{"LICENSE": mit}, []string{"example.com/m v1.0.0", "--- LICENSE: MIT", "Somebody"}, ""},
		{
			"with a notice",
			map[string]string{"COPYING.md": mit, "NOTICE": "Made by us."},
			[]string{"--- COPYING.md: MIT", "--- NOTICE: notice", "Made by us."},
			"",
		},
		{"below", map[string]string{"LICENSE": mit, "sub/LICENCE.txt": mit}, []string{"--- sub/LICENCE.txt: MIT"}, ""},
		{
			"of documentation",
			map[string]string{"LICENSE": mit, "LICENSE.docs": "Anything."},
			[]string{"--- LICENSE: MIT"},
			"",
		},
		{"not accepted", map[string]string{"LICENSE": wtfpl}, nil, "WTFPL is not accepted"},
		{"one of two not accepted", map[string]string{"LICENSE": mit, "sub/LICENSE": wtfpl}, nil, "WTFPL is not accepted"},
		{"unknown", map[string]string{"LICENSE": "All rights reserved."}, nil, "read it, and decide"},
		{"none", map[string]string{"README.md": mit}, nil, "no license file"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			m := &module{Path: "example.com/m", Version: "v1.0.0", Dir: dir, dirs: map[string]bool{dir: true}}
			for name, content := range tt.files {
				file := filepath.Join(dir, name)
				if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
					t.Fatal(err)
				}
				m.dirs[filepath.Dir(file)] = true
				if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			var text bytes.Buffer
			err := m.write(&text)
			if (err == nil) != (tt.wantErr == "") || err != nil && !strings.Contains(err.Error(), tt.wantErr) {
				t.Fatalf("got error %v, want %q", err, tt.wantErr)
			}
			for _, part := range tt.want {
				if err == nil && !strings.Contains(text.String(), part) {
					t.Errorf("got\n%s\nwant it to hold %q", text.String(), part)
				}
			}
		})
	}
}
