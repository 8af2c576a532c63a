// Package agent owns what runs beside an attempt's notebook: it fetches the tree into the
// work volume, relays the journal and the files to the server while the notebook runs, passes a
// cancel on, and reports the end. It holds the attempt's token, and neither Git, database nor bucket.
//
// The agent may die and come back at any time: where to go on is what the server says it has.
package agent
