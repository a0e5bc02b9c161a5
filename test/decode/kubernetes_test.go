package decode

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	externalsecrets "github.com/external-secrets/external-secrets/apis/externalsecrets/v1"
	generators "github.com/external-secrets/external-secrets/apis/generators/v1alpha1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Vault Secrets Operator's own types are not on the module proxy. These are the fields that the example uses, as its
// v1beta1 names them.
type (
	vaultAuth struct {
		metav1.TypeMeta   `json:",inline"`
		metav1.ObjectMeta `json:"metadata"`
		Spec              struct {
			Method     string `json:"method"`
			Mount      string `json:"mount"`
			Kubernetes struct {
				Role           string   `json:"role"`
				ServiceAccount string   `json:"serviceAccount"`
				Audiences      []string `json:"audiences"`
			} `json:"kubernetes"`
		} `json:"spec"`
	}
	vaultDynamicSecret struct {
		metav1.TypeMeta   `json:",inline"`
		metav1.ObjectMeta `json:"metadata"`
		Spec              struct {
			VaultAuthRef   string `json:"vaultAuthRef"`
			Mount          string `json:"mount"`
			Path           string `json:"path"`
			RenewalPercent int    `json:"renewalPercent"`
			Revoke         bool   `json:"revoke"`
			Destination    struct {
				Name           string `json:"name"`
				Create         bool   `json:"create"`
				Transformation struct {
					ExcludeRaw bool     `json:"excludeRaw"`
					Includes   []string `json:"includes"`
				} `json:"transformation"`
			} `json:"destination"`
			RolloutRestartTargets []struct {
				Kind string `json:"kind"`
				Name string `json:"name"`
			} `json:"rolloutRestartTargets"`
		} `json:"spec"`
	}
)

func TestKubernetesObjects(t *testing.T) {
	types := map[string]func() any{
		"v1 ServiceAccount":                                          func() any { return &corev1.ServiceAccount{} },
		"apps/v1 Deployment":                                         func() any { return &appsv1.Deployment{} },
		"secrets.hashicorp.com/v1beta1 VaultAuth":                    func() any { return &vaultAuth{} },
		"secrets.hashicorp.com/v1beta1 VaultDynamicSecret":           func() any { return &vaultDynamicSecret{} },
		"generators.external-secrets.io/v1alpha1 VaultDynamicSecret": func() any { return &generators.VaultDynamicSecret{} },
		"external-secrets.io/v1 ExternalSecret":                      func() any { return &externalsecrets.ExternalSecret{} },
	}
	decoded := map[string]bool{}
	for _, name := range []string{"agent-injector.yaml", "external-secrets.yaml", "vault-secrets-operator.yaml"} {
		for _, document := range documents(t, "kubernetes/"+name) {
			var kind metav1.PartialObjectMetadata
			loose(t, name, document, &kind)
			id := kind.APIVersion + " " + kind.Kind
			newObject, known := types[id]
			if !known {
				t.Errorf("%s: unknown kind %q", name, id)
				continue
			}
			if kind.Name == "" || kind.Namespace == "" {
				t.Errorf("%s: a %s without a name or namespace", name, id)
			}
			decode(t, name, document, newObject())
			decoded[id] = true
		}
	}
	for id := range types {
		if !decoded[id] {
			t.Errorf("no example has a %s", id)
		}
	}
}

// values are those of the chart hashicorp/vault that the examples set: what the chart copies into the pod is of Kubernetes' types.
type values struct {
	Server struct {
		Volumes             []corev1.Volume      `json:"volumes"`
		VolumeMounts        []corev1.VolumeMount `json:"volumeMounts"`
		ExtraInitContainers []corev1.Container   `json:"extraInitContainers"`
		ExtraVolumes        []struct {
			Type string `json:"type"`
			Name string `json:"name"`
		} `json:"extraVolumes"`
		HA struct {
			Enabled  bool `json:"enabled"`
			Replicas int  `json:"replicas"`
			Raft     struct {
				Enabled bool   `json:"enabled"`
				Config  string `json:"config"`
			} `json:"raft"`
		} `json:"ha"`
	} `json:"server"`
}

// TestHelmValues also runs the init container's script: it leaves the plugin only if the checksum is right.
func TestHelmValues(t *testing.T) {
	for _, name := range []string{"values-download.yaml", "values-image.yaml"} {
		t.Run(name, func(t *testing.T) {
			var v values
			decode(t, name, example(t, "kubernetes/"+name), &v)
			if len(v.Server.ExtraInitContainers) != 1 || len(v.Server.VolumeMounts) != 1 {
				t.Fatalf("got %d init containers and %d mounts, want 1 and 1", len(v.Server.ExtraInitContainers), len(v.Server.VolumeMounts))
			}
			container, directory := v.Server.ExtraInitContainers[0], v.Server.VolumeMounts[0].MountPath
			if !strings.Contains(v.Server.HA.Raft.Config, `plugin_directory = "`+directory+`"`) {
				t.Errorf("plugin_directory is not the mounted %s", directory)
			}
			if !regexp.MustCompile(`:[0-9.]+@sha256:[0-9a-f]{64}$`).MatchString(container.Image) {
				t.Errorf("the image is %q, want it pinned by version and digest", container.Image)
			}
			volumes := map[string]bool{}
			for _, volume := range v.Server.Volumes {
				volumes[volume.Name] = true
			}
			for _, mount := range append(container.VolumeMounts, v.Server.VolumeMounts...) {
				if !volumes[mount.Name] {
					t.Errorf("%s is mounted, and is no volume", mount.Name)
				}
			}
			plugin := []byte("the plugin")
			sum := sha256.Sum256(plugin)
			file, err := runInit(t, container, plugin, hex.EncodeToString(sum[:]))
			if info, statErr := os.Stat(file); err != nil || statErr != nil || info.Mode().Perm() != 0o755 {
				t.Errorf("with the right checksum: %v, %v", err, statErr)
			}
			if _, err := runInit(t, container, plugin, strings.Repeat("0", 64)); err == nil {
				t.Error("with a wrong checksum the script succeeds, and Vault would start")
			}
		})
	}
}

// runInit runs the container's script with directories of the test in place of the container's.
func runInit(t *testing.T, container corev1.Container, plugin []byte, sum string) (file string, err error) {
	t.Helper()
	dir := t.TempDir()
	image, plugins, bin := filepath.Join(dir, "image"), filepath.Join(dir, "plugins"), filepath.Join(dir, "bin")
	for _, d := range []string{image, plugins, bin} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	const pluginName = "vault-plugin-secrets-workfront"
	for name, content := range map[string]string{
		filepath.Join(image, pluginName): string(plugin),
		filepath.Join(bin, "wget"):       "#!/bin/sh\n[ \"$1 $2\" = '-q -O' ] && cp '" + filepath.Join(image, pluginName) + "' \"$3\"\n",
	} {
		if err := os.WriteFile(name, []byte(content), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	words := make([]string, 0, len(container.Command))
	for _, word := range container.Command {
		words = append(words, strings.NewReplacer("/vault/plugins", plugins, "/image", image).Replace(word))
	}
	cmd := exec.CommandContext(t.Context(), words[0], words[1:]...)
	cmd.Env = []string{"PATH=" + bin + ":" + os.Getenv("PATH")}
	for _, variable := range container.Env {
		if variable.Name == "SHA256" {
			variable.Value = sum
		}
		cmd.Env = append(cmd.Env, variable.Name+"="+variable.Value)
	}
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	return filepath.Join(plugins, pluginName), err
}
