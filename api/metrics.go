package api

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/nes-run/nes"
)

// metrics are the figures of the API. Labels come from closed sets alone: routes as
// they are declared, methods that HTTP knows, stages, reasons.
type metrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
}

func newMetrics(o Options, streams func() int64) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "nes_http_requests_total", Help: "Requests that were answered.",
		}, []string{"route", "method", "status"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "nes_http_request_seconds", Help: "Time to the end of an answer; long polls and streams last as long as they are asked to.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
		}, []string{"route", "method"}),
	}
	open := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "nes_http_streams_open", Help: "Long polls and streams that are open.",
	}, func() float64 { return float64(streams()) })
	o.Metrics.MustRegister(m.requests, m.duration, open, newRunFigures(o.Ledger))
	return m
}

func (m *metrics) observe(r *http.Request, x *exchange, out *answer) {
	method := methodLabel(r.Method)
	m.requests.WithLabelValues(x.route, method, strconv.Itoa(out.status)).Inc()
	m.duration.WithLabelValues(x.route, method).Observe(time.Since(x.started).Seconds())
}

// methodLabel keeps made-up methods from making labels.
func methodLabel(method string) string {
	switch method {
	case "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS":
		return method
	}
	return "other"
}

// runFigures reads the ledger when it is asked: it costs nothing while nobody looks.
type runFigures struct {
	ledger  Ledger
	current *prometheus.Desc
	ended   *prometheus.CounterVec

	mu     sync.Mutex
	cursor int64 // the last event that was counted
	begun  bool
}

// figuresTimeout bounds how long a scrape may keep the ledger busy.
const figuresTimeout = 2 * time.Second

func newRunFigures(l Ledger) *runFigures {
	return &runFigures{
		ledger:  l,
		current: prometheus.NewDesc("nes_runs", "Runs that have not ended, by what they are doing.", []string{"status", "stage"}, nil),
		ended: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "nes_runs_ended_total", Help: "Runs that ended since this process was first asked for its figures.",
		}, []string{"status", "reason"}),
	}
}

// Describe names the figures.
func (f *runFigures) Describe(to chan<- *prometheus.Desc) {
	to <- f.current
	f.ended.Describe(to)
}

// Collect reads the figures. A ledger that is down leaves them out, which a scraper can see.
func (f *runFigures) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), figuresTimeout)
	defer cancel()
	if counts, err := f.ledger.Counts(ctx); err == nil {
		for _, stage := range nes.Stages() {
			if stage != nes.StageEnded {
				to <- prometheus.MustNewConstMetric(f.current, prometheus.GaugeValue, float64(counts[stage]), string(stage.Status()), string(stage))
			}
		}
	}
	f.count(ctx)
	f.ended.Collect(to)
}

// count counts the ends since the last time.
func (f *runFigures) count(ctx context.Context) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.begun {
		last, err := f.ledger.LastEvent(ctx)
		f.cursor, f.begun = last, err == nil
		return
	}
	for {
		events, err := f.ledger.Events(ctx, f.cursor, "", 1000)
		if err != nil {
			return
		}
		for _, e := range events {
			f.cursor = e.Seq
			if e.Kind == "ended" {
				f.ended.WithLabelValues(string(e.Status), string(e.Reason)).Inc()
			}
		}
		if len(events) < 1000 {
			return
		}
	}
}
