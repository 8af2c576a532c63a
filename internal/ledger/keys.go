package ledger

import "context"

// Key returns the key of a name that all servers of this ledger share. The first that asks
// gives it the value of fresh; later ones get that, whatever they bring.
func (l *Ledger) Key(ctx context.Context, name string, fresh func() string) (string, error) {
	var value string
	err := l.write(ctx, "share key "+name, func(t *tx) error {
		if err := t.alone("key " + name); err != nil {
			return err
		}
		found, err := t.row("SELECT value FROM keys WHERE name = ?", []any{&value}, name)
		if found || err != nil {
			return err
		}
		value = fresh()
		_, err = t.exec("INSERT INTO keys (name, value) VALUES (?, ?)", name, value)
		return err
	})
	return value, err
}
