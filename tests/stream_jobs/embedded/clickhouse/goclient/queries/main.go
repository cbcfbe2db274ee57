// Command queries runs statements as Grafana's data source does: clickhouse-go over HTTP, below
// database/sql, each value scanned into the Go type of its column. Reads a JSON object of
// statements by name, and prints for each its columns, how many rows it gave, or why it failed.
package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

type answer struct {
	Columns []string `json:"columns"`
	Rows    int      `json:"rows"`
	Error   string   `json:"error"`
}

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: queries HOST:PORT USER DATABASE < STATEMENTS")
		os.Exit(2)
	}
	var statements map[string]string
	if err := json.NewDecoder(os.Stdin).Decode(&statements); err != nil {
		panic(err)
	}
	database := clickhouse.OpenDB(&clickhouse.Options{
		Addr:        []string{os.Args[1]},
		Protocol:    clickhouse.HTTP,
		Auth:        clickhouse.Auth{Username: os.Args[2], Database: os.Args[3]},
		Compression: &clickhouse.Compression{Method: clickhouse.CompressionGZIP},
		DialTimeout: 10 * time.Second,
	})
	defer database.Close()
	answers := map[string]answer{}
	for name, statement := range statements {
		answers[name] = ask(database, statement)
	}
	if err := json.NewEncoder(os.Stdout).Encode(answers); err != nil {
		panic(err)
	}
}

func ask(database *sql.DB, statement string) answer {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	rows, err := database.QueryContext(ctx, statement)
	if err != nil {
		return answer{Error: err.Error()}
	}
	defer rows.Close()
	types, err := rows.ColumnTypes()
	if err != nil {
		return answer{Error: err.Error()}
	}
	found := answer{Columns: []string{}}
	values := make([]any, len(types))
	for place, one := range types {
		found.Columns = append(found.Columns, one.Name())
		values[place] = reflect.New(one.ScanType()).Interface()
	}
	for rows.Next() {
		if err := rows.Scan(values...); err != nil {
			return answer{Error: err.Error()}
		}
		found.Rows++
	}
	if err := rows.Err(); err != nil {
		return answer{Error: err.Error()}
	}
	return found
}
