// Command goclient drives the embedded ClickHouse with clickhouse-go over HTTP, the client inside
// Grafana's data source, and prints what it saw as one JSON object. The test compares.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

type report struct {
	ServerName string              `json:"server_name"`
	Types      map[string][]string `json:"types"`
	Streamed   map[string]uint64   `json:"streamed"`
	Inserted   map[string]uint64   `json:"inserted"`
	ErrorCode  map[string]int32    `json:"error_code"`
	ErrorText  string              `json:"error_text"`
	Setting    string              `json:"setting"`
}

func main() {
	if len(os.Args) != 5 {
		fail(errors.New("usage: goclient HOST:PORT USER COMPRESSION TYPES_SQL"))
	}
	address, user, compression, typesSQL := os.Args[1], os.Args[2], os.Args[3], os.Args[4]
	conn, err := open(address, user, compression)
	must(err)
	ctx := context.Background()
	must(conn.Ping(ctx))
	version, err := conn.ServerVersion()
	must(err)
	out := report{
		ServerName: version.DisplayName,
		Types:      map[string][]string{},
		Streamed:   map[string]uint64{},
		Inserted:   map[string]uint64{},
		ErrorCode:  map[string]int32{},
	}
	readTypes(ctx, conn, typesSQL, out.Types)
	readStream(ctx, conn, out.Streamed)
	if user == "default" {
		insertBatch(ctx, conn, out.Inserted)
	}
	unknown := conn.Exec(ctx, "SELECT * FROM no_such_table")
	out.ErrorCode["unknown_table"] = codeOf(unknown)
	out.ErrorText = unknown.Error()
	out.ErrorCode["create"] = codeOf(conn.Exec(ctx, "CREATE TABLE made_by_go (a Int8) ENGINE = Memory"))
	out.ErrorCode["mid_stream"] = midStream(ctx, conn)
	limited := clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{"max_execution_time": 1}))
	out.ErrorCode["max_execution_time"] = codeOf(
		conn.Exec(limited, "SELECT sum(sipHash64(number)) FROM numbers(1000000000000)"))
	rows := conn.QueryRow(limited, "SELECT toString(getSetting('max_execution_time'))")
	must(rows.Scan(&out.Setting))
	must(conn.Close())
	must(json.NewEncoder(os.Stdout).Encode(out))
}

func open(address, user, compression string) (driver.Conn, error) {
	methods := map[string]clickhouse.CompressionMethod{
		"none": clickhouse.CompressionNone,
		"lz4":  clickhouse.CompressionLZ4,
		"zstd": clickhouse.CompressionZSTD,
		"gzip": clickhouse.CompressionGZIP,
		"br":   clickhouse.CompressionBrotli,
	}
	return clickhouse.Open(&clickhouse.Options{
		Addr:        []string{address},
		Protocol:    clickhouse.HTTP,
		Auth:        clickhouse.Auth{Database: "default", Username: user},
		Compression: &clickhouse.Compression{Method: methods[compression], Level: 3},
		DialTimeout: 10 * time.Second,
	})
}

// readTypes prints every column of every row as Go values: a misplaced byte shows in some column.
func readTypes(ctx context.Context, conn driver.Conn, query string, into map[string][]string) {
	rows, err := conn.Query(ctx, query)
	must(err)
	defer rows.Close()
	columns := rows.ColumnTypes()
	for rows.Next() {
		values := make([]any, len(columns))
		for i, column := range columns {
			values[i] = reflect.New(column.ScanType()).Interface()
		}
		must(rows.Scan(values...))
		for i, column := range columns {
			into[column.Name()] = append(into[column.Name()], text(reflect.ValueOf(values[i]).Elem()))
		}
	}
	must(rows.Err())
}

func text(value reflect.Value) string {
	for value.Kind() == reflect.Pointer {
		if value.IsNil() {
			return "NULL"
		}
		if stringer, ok := value.Interface().(fmt.Stringer); ok {
			return stringer.String()
		}
		value = value.Elem()
	}
	if moment, ok := value.Interface().(time.Time); ok {
		return moment.UTC().Format("2006-01-02 15:04:05.999999")
	}
	return fmt.Sprint(value.Interface())
}

func readStream(ctx context.Context, conn driver.Conn, into map[string]uint64) {
	rows, err := conn.Query(ctx, `SELECT number, toLowCardinality(toString(number % 7)) AS name,
		if(number % 3 = 0, NULL, number) AS maybe, map(name, number) AS pairs FROM numbers(300000)`)
	must(err)
	defer rows.Close()
	for rows.Next() {
		var number uint64
		var name string
		var maybe *uint64
		var pairs map[string]uint64
		must(rows.Scan(&number, &name, &maybe, &pairs))
		into["rows"]++
		into["sum"] += number
		into["pairs"] += pairs[name]
		if maybe == nil {
			into["nulls"]++
		}
	}
	must(rows.Err())
}

func insertBatch(ctx context.Context, conn driver.Conn, into map[string]uint64) {
	must(conn.Exec(ctx, "DROP TABLE IF EXISTS from_go"))
	must(conn.Exec(ctx, `CREATE TABLE from_go (id UInt64, name LowCardinality(String), at DateTime64(6, 'UTC'),
		tags Map(LowCardinality(String), String), cost Nullable(Int64)) ENGINE = MergeTree ORDER BY id`))
	batch, err := conn.PrepareBatch(ctx, "INSERT INTO from_go")
	must(err)
	for i := uint64(0); i < 50000; i++ {
		cost := int64(i)
		must(batch.Append(i, fmt.Sprint(i%5), time.UnixMicro(int64(i)), map[string]string{"k": "v"}, &cost))
	}
	must(batch.Send())
	var count, sum uint64
	row := conn.QueryRow(ctx, "SELECT count(), sum(id) FROM from_go WHERE tags['k'] = 'v'")
	must(row.Scan(&count, &sum))
	into["count"], into["sum"] = count, sum
}

func midStream(ctx context.Context, conn driver.Conn) int32 {
	rows, err := conn.Query(ctx,
		"SELECT number, throwIf(number = 2900000) FROM numbers(3000000) SETTINGS max_threads = 1")
	if err != nil {
		return codeOf(err)
	}
	defer rows.Close()
	for rows.Next() {
	}
	return codeOf(rows.Err())
}

func codeOf(err error) int32 {
	var exception *clickhouse.Exception
	if errors.As(err, &exception) {
		return exception.Code
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return -1
	}
	return 0
}

func must(err error) {
	if err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "goclient:", err)
	os.Exit(1)
}
