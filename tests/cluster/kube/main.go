// Command kube is every program of a small Kubernetes in one binary: the first argument names the program, the rest
// are that program's own arguments. One binary shares one build and one set of pinned modules.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	kubectl "k8s.io/kubectl/pkg/cmd"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

var programs = map[string]func(){
	"apiserver":          command(apiserver.NewAPIServerCommand),
	"controller-manager": command(controllers.NewControllerManagerCommand),
	"dns":                serveDNS,
	"etcd":               func() { etcdmain.Main(os.Args) },
	"kubectl":            command(kubectl.NewDefaultKubectlCommand),
	"kubelet":            command(func() *cobra.Command { return kubelet.NewKubeletCommand(context.Background()) }),
	"proxy":              command(proxy.NewProxyCommand),
	"scheduler":          command(func() *cobra.Command { return scheduler.NewSchedulerCommand() }),
}

func main() {
	if run := programs[filepath.Base(os.Args[0])]; run != nil { // a link such as kubectl -> kube
		run()
		return
	}
	if len(os.Args) < 2 || programs[os.Args[1]] == nil {
		fmt.Fprintf(os.Stderr, "usage: kube PROGRAM [ARGUMENT...], where PROGRAM is one of: %s\n", names())
		os.Exit(2)
	}
	run := programs[os.Args[1]]
	os.Args = os.Args[1:]
	run()
}

// command defers the making of a program's command until it is the one to run: making one changes global flags.
func command(create func() *cobra.Command) func() {
	return func() { os.Exit(cli.Run(create())) }
}

func names() string {
	all := make([]string, 0, len(programs))
	for name := range programs {
		all = append(all, name)
	}
	sort.Strings(all)
	return strings.Join(all, ", ")
}
