// franz-go with the settings best for it; the command line is that of ../../bench.h.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	keySize   = 16
	slice     = 10000
	idleLimit = 60 * time.Second
)

var (
	flags      = flag.NewFlagSet("bench", flag.ExitOnError)
	bootstrap  = flags.String("bootstrap", "", "")
	topic      = flags.String("topic", "", "")
	n          = flags.Int64("n", 0, "")
	size       = flags.Int("size", 0, "")
	payload    = flags.String("payload", "", "")
	codec      = flags.String("codec", "none", "")
	partitions = flags.Int("partitions", 1, "")
	headers    = flags.Int("headers", 0, "")
	keyed      = flags.Bool("keyed", false, "")
)

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func compression() kgo.CompressionCodec {
	switch *codec {
	case "lz4":
		return kgo.Lz4Compression()
	case "zstd":
		return kgo.ZstdCompression()
	default:
		return kgo.NoCompression()
	}
}

func produce() {
	blob, err := os.ReadFile(*payload)
	if err != nil {
		fail(err)
	}
	rows := len(blob) / *size
	keys := make([][]byte, rows)
	for i := range keys {
		if *keyed {
			keys[i] = []byte(fmt.Sprintf("%0*d", keySize, i))
		}
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(*bootstrap), kgo.DefaultProduceTopic(*topic),
		kgo.ProducerLinger(5*time.Millisecond), kgo.ProducerBatchMaxBytes(1_000_000),
		kgo.MaxBufferedRecords(500_000), kgo.RequiredAcks(kgo.AllISRAcks()), kgo.ProducerBatchCompression(compression()))
	if err != nil {
		fail(err)
	}
	var delivered atomic.Int64
	done := func(_ *kgo.Record, err error) {
		if err != nil {
			fail(err)
		}
		delivered.Add(1)
	}
	ctx := context.Background()
	for i := int64(0); i < *n; i++ {
		row := int(i) % rows
		record := &kgo.Record{Value: blob[row**size : (row+1)**size], Key: keys[row]}
		if *headers > 0 {
			record.Headers = []kgo.RecordHeader{{Key: "trace", Value: []byte("0123456789abcdef")}, {Key: "source", Value: []byte("bench")}}
		}
		client.Produce(ctx, record, done)
	}
	if err := client.Flush(ctx); err != nil {
		fail(err)
	}
	client.Close()
	if delivered.Load() != *n {
		fail(fmt.Errorf("%d of %d delivered", delivered.Load(), *n))
	}
}

func consume() uint64 {
	offsets := map[int32]kgo.Offset{}
	for p := 0; p < *partitions; p++ {
		offsets[int32(p)] = kgo.NewOffset().At(0)
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(*bootstrap), kgo.FetchMaxPartitionBytes(8<<20), kgo.DisableFetchCRCValidation(),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{*topic: offsets}))
	if err != nil {
		fail(err)
	}
	var got int64
	var checksum uint64
	for got < *n {
		ctx, cancel := context.WithTimeout(context.Background(), idleLimit)
		fetches := client.PollRecords(ctx, int(min(slice, *n-got)))
		cancel()
		if errs := fetches.Errors(); len(errs) > 0 {
			fail(errs[0].Err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			v := r.Value
			checksum += uint64(r.Offset) + uint64(len(v)) + uint64(v[0]) + uint64(v[len(v)-1])
			if k := r.Key; len(k) > 0 {
				checksum += uint64(len(k)) + uint64(k[len(k)-1])
			}
			got++
		})
	}
	client.Close()
	return checksum
}

func peakMB() float64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		fail(err)
	}
	kib, _ := strconv.ParseFloat(string(regexp.MustCompile(`VmHWM:\s+(\d+)`).FindSubmatch(status)[1]), 64)
	return kib * 1024e-6
}

func main() {
	if len(os.Args) < 2 {
		fail(fmt.Errorf("usage: bench produce|consume OPTIONS"))
	}
	if err := flags.Parse(os.Args[2:]); err != nil {
		fail(err)
	}
	begun := time.Now()
	var checksum uint64
	if os.Args[1] == "produce" {
		produce()
	} else {
		checksum = consume()
	}
	wall := time.Since(begun).Seconds()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		fail(err)
	}
	cpu := float64(usage.Utime.Nano()+usage.Stime.Nano()) * 1e-9
	fmt.Printf("{\"n\": %d, \"wall_s\": %.6f, \"cpu_s\": %.6f, \"peak_mb\": %.1f, \"checksum\": %d}\n", *n, wall, cpu, peakMB(), checksum)
}
