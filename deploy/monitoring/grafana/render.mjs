// Takes pictures of the dashboards with what a Prometheus has of a time: called by ../render.
// A panel whose query fails or finds nothing is a failure.

import { readFileSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

const [prometheus, from, to, images, modules] = process.argv.slice(2);
const here = import.meta.dirname;
const require = createRequire(path.join(modules, 'x.js'));
const { build } = require('esbuild');
const { chromium } = require('playwright-core');

const ORIGIN = 'http://dashboards.localhost/';
const STEPS = 240;
const step = Math.max(1, Math.ceil((to - from) / STEPS));

async function ask(target) {
  const interval = process.env.RATE_INTERVAL ?? '5m';
  const query = target.expr.replaceAll('$__rate_interval', interval).replaceAll(/\$(namespace|account)/g, '.*');
  const parameters = new URLSearchParams({ query, start: from, end: to, step });
  const answer = await (await fetch(`${prometheus}/api/v1/query_range?${parameters}`)).json();
  if (answer.status !== 'success') throw new Error(answer.error);
  const times = Array.from({ length: Math.floor((to - from) / step) + 1 }, (_, index) => Number(from) + index * step);
  return answer.data.result.map(({ metric, values }) => {
    const known = new Map(values.map(([time, value]) => [Math.round((time - from) / step), Number(value)]));
    return {
      name: target.legendFormat.replaceAll(/\{\{(\w+)\}\}/g, (_, label) => metric[label] ?? ''),
      times: times.map((time) => time * 1000),
      values: times.map((_, index) => (Number.isFinite(known.get(index)) ? known.get(index) : null)),
    };
  });
}

async function answer(panel) {
  try {
    const series = (await Promise.all(panel.targets.map(ask))).flat();
    return { series: series.filter(({ values }) => values.some((value) => value !== null)) };
  } catch (error) {
    return { series: [], error: String(error.message) };
  }
}

const { outputFiles } = await build({
  entryPoints: [path.join(here, 'page.jsx')], bundle: true, write: false, outdir: 'out', jsx: 'automatic', minify: true,
  nodePaths: [path.join(modules, 'node_modules')], define: { 'process.env.NODE_ENV': '"production"' },
  loader: { '.ttf': 'dataurl', '.svg': 'text', '.woff': 'dataurl', '.woff2': 'dataurl' }, logLevel: 'error',
});
const code = outputFiles.find(({ path: name }) => name.endsWith('.js')).text;
const style = outputFiles.find(({ path: name }) => name.endsWith('.css'))?.text ?? '';
const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'],
});
let failures = 0;
const fail = (text) => { failures += 1; console.error(text); };
for (const file of readdirSync(path.join(here, '../dashboards')).filter((name) => name.endsWith('.json'))) {
  const board = JSON.parse(readFileSync(path.join(here, '../dashboards', file)));
  const answers = {};
  for (const panel of board.panels.filter(({ targets }) => targets)) {
    answers[panel.id] = await answer(panel);
    if (answers[panel.id].error) fail(`${file}: ${panel.title}: ${answers[panel.id].error}`);
    else if (answers[panel.id].series.length === 0) fail(`${file}: ${panel.title}: no data`);
  }
  const page = await browser.newPage({ viewport: { width: 1512, height: 900 } });
  page.on('pageerror', (error) => fail(`${file}: ${error.message}`));
  // A page of its own origin, so that components may use its storage. Nothing goes out.
  const body = `<style>body{margin:0;font-family:Inter,Helvetica,sans-serif}${style}</style><div id="root"></div>`;
  const serve = (route) => route.fulfill({ body, contentType: 'text/html' });
  await page.route('**/*', (route) => (route.request().url() === ORIGIN ? serve(route) : route.abort()));
  await page.goto(ORIGIN);
  const range = { from: from * 1000, to: to * 1000 };
  await page.evaluate((data) => Object.assign(window, data), { board, answers, range });
  await page.addScriptTag({ content: code });
  await page.waitForTimeout(2000);
  const image = path.join(images, `dashboard-${path.basename(file, '.json')}.png`);
  await page.locator('#root > div').screenshot({ path: image });
  await page.close();
}
await browser.close();
process.exit(failures === 0 ? 0 : 1);
