// Renders the message of a contact point as Grafana does: text/template with the functions of
// Alertmanager that the message uses. Reads JSON: templates, message, external URL, alerts.
package main

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"text/template"
	"time"
)

type alert struct {
	Status, SilenceURL  string
	Labels, Annotations map[string]string
	StartsAt            time.Time
}

type alerts []alert

func (all alerts) Firing() alerts {
	var firing alerts
	for _, one := range all {
		if one.Status == "firing" {
			firing = append(firing, one)
		}
	}
	return firing
}

type notification struct {
	Status, ExternalURL       string
	Alerts                    alerts
	GroupLabels, CommonLabels map[string]string
}

func main() {
	var given struct {
		Templates string
		Message   string
		Data      notification
	}
	if err := json.NewDecoder(os.Stdin).Decode(&given); err != nil {
		panic(err)
	}
	functions := template.FuncMap{
		"toUpper": strings.ToUpper,
		"reReplaceAll": func(pattern, replacement, text string) string {
			return regexp.MustCompile(pattern).ReplaceAllString(text, replacement)
		},
	}
	made := template.New("").Option("missingkey=zero").Funcs(functions)
	made = template.Must(made.Parse(given.Templates))
	made = template.Must(made.New("message").Parse(given.Message))
	if err := made.Execute(os.Stdout, given.Data); err != nil {
		panic(err)
	}
}
