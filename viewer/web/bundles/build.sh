#!/usr/bin/env bash
# Makes dist/, which the program embeds, from the packages that package-lock.json pins: bundles for the
# frames of charts, KaTeX with its fonts, and the licences of all of it. The same input gives the same bytes.
set -euo pipefail
cd "$(dirname "$0")"
npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
rm -rf dist && mkdir dist
build=(node_modules/.bin/esbuild --bundle --minify --format=iife --target=es2020 --legal-comments=none --log-level=error)
"${build[@]}" src/html-frame.js --outfile=dist/html-frame.js
"${build[@]}" src/vega-frame.js --outfile=dist/vega-frame.js
"${build[@]}" src/plotly-frame.js --outfile=dist/.plotly-own.js
cat node_modules/plotly.js-strict-dist-min/plotly-strict.min.js dist/.plotly-own.js >dist/plotly-frame.js
rm dist/.plotly-own.js
cp node_modules/katex/dist/katex.min.js dist/katex.js
cp node_modules/katex/dist/fonts/*.woff2 dist/
# Every browser of the last ten years reads woff2.
sed -E 's#,url\([^)]*\.(woff|ttf)\) format\("(woff|truetype)"\)##g; s#url\(fonts/#url(#g' node_modules/katex/dist/katex.min.css >dist/katex.css
{
	echo "Parts of other projects that the viewer's bundles contain, and their licences."
	for name in katex plotly.js-strict-dist-min $(sed -n 's#^    "node_modules/\([^"@]*\)": {#\1#p' package-lock.json | grep -E '^(vega|d3|internmap|delaunator|robust-predicates|topojson|json-stringify|tslib)' | sort); do
		file=$(find "node_modules/$name" -maxdepth 1 -iname 'licen[sc]e*' | sort | head -n 1)
		printf '\n---- %s %s (%s)\n\n' "$name" "$(node -p "require('./node_modules/$name/package.json').version")" "$(node -p "require('./node_modules/$name/package.json').license")"
		if [ -n "$file" ]; then cat "$file"; else echo "See the package."; fi
	done
} >dist/LICENCES.txt
gzip -9n dist/*.js dist/*.css
