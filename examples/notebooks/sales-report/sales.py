"""Arithmetic of the sales report."""

import pandas as pd

MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"]


def load(path):
    """Read the sales, with the revenue of each row."""
    data = pd.read_csv(path, parse_dates=["date"])
    data["revenue"] = data["units"] * data["unit_price"]
    return data


def choose(data, region, year):
    """Keep one region, or all of them, and one year."""
    known = sorted(data["region"].unique())
    if region != "all" and region not in known:
        raise ValueError(f"region {region!r} is none of {', '.join(known)}, all")
    kept = data[data["date"].dt.year == year]
    return kept if region == "all" else kept[kept["region"] == region]


def summary(now, before):
    """Compare revenue, units and the average price of two years."""
    def figures(rows):
        revenue, units = rows["revenue"].sum(), rows["units"].sum()
        return {"revenue": revenue, "units": units, "price per unit": revenue / units if units else float("nan")}

    years = [str(rows["date"].dt.year.max()) if len(rows) else "before" for rows in (before, now)]
    table = pd.DataFrame({years[0]: figures(before), years[1]: figures(now)})
    table["change"] = table[years[1]] / table[years[0]] - 1
    return table.round(3)


def monthly(rows):
    """Revenue by the name of the month."""
    return rows.groupby(rows["date"].dt.month)["revenue"].sum().rename(lambda m: MONTHS[m - 1][:3])


def by_product(now, before):
    """Revenue and units of each product, strongest first, and the change of its revenue."""
    table = now.groupby("product")[["revenue", "units"]].sum()
    table["change %"] = ((table["revenue"] / before.groupby("product")["revenue"].sum() - 1) * 100).round(1)
    return table.sort_values("revenue", ascending=False)


def seasons(rows):
    """Units by product and month."""
    grid = rows.pivot_table(index="product", columns=rows["date"].dt.month, values="units", aggfunc="sum").fillna(0)
    return grid.rename(columns=lambda m: MONTHS[m - 1])
