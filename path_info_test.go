package main

import (
	"crypto/fips140"
	"os"
	"os/exec"
	"testing"
)

// The mode is chosen when a process starts: one that has it is this test again.
func TestInfoSaysWhetherFIPSModeIsOn(t *testing.T) {
	const again = "WORKFRONT_TEST_FIPS140"
	if os.Getenv(again) == "" {
		child := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.count=1")
		child.Env = append(os.Environ(), again+"=1", "GODEBUG=fips140=on")
		if out, err := child.CombinedOutput(); err != nil {
			t.Errorf("under GODEBUG=fips140=on: %v\n%s", err, out)
		}
	} else if !fips140.Enabled() {
		t.Fatalf("GODEBUG is %q and the mode is off", os.Getenv("GODEBUG"))
	}
	if got, want := newMount(t).read("info")[fieldFIPS140], fips140.Enabled(); got != want {
		t.Errorf("fips140 is %v, want %t", got, want)
	}
}
