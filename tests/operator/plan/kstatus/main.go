// Command kstatus says what tools built on kstatus (Flux, kapp, `kubectl wait`-likes) conclude from objects: it reads a
// JSON list of objects from standard input and writes a JSON list of Current, InProgress, Failed, … in their order.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "kstatus:", err)
		os.Exit(1)
	}
}

func run() error {
	var objects []unstructured.Unstructured
	if err := json.NewDecoder(os.Stdin).Decode(&objects); err != nil {
		return fmt.Errorf("standard input is no JSON list of objects: %w", err)
	}
	concluded := make([]string, 0, len(objects))
	for i := range objects {
		result, err := status.Compute(&objects[i])
		if err != nil {
			return fmt.Errorf("%s: %w", objects[i].GetName(), err)
		}
		concluded = append(concluded, result.Status.String())
	}
	return json.NewEncoder(os.Stdout).Encode(concluded)
}
