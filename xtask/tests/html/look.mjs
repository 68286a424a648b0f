// Opens each page named, wide and narrow, light and dark, and says what a browser or axe has against it.
import { execSync } from 'node:child_process';
import { pathToFileURL } from 'node:url';
import axe from 'axe-core';
import { chromium } from 'playwright-core';

const executablePath = execSync('command -v chromium || command -v google-chrome').toString().trim();
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
const against = [];
for (const file of process.argv.slice(2)) {
  for (const colorScheme of ['light', 'dark']) {
    for (const width of [1280, 360]) {
      const page = await browser.newPage({ viewport: { width, height: 900 }, colorScheme });
      const say = (what) => against.push(`${file}, ${colorScheme}, ${width}: ${what}`);
      page.on('console', (message) => ['error', 'warning'].includes(message.type()) && say(message.text()));
      page.on('pageerror', (error) => say(String(error)));
      page.on('request', (request) => /^(file|data):/.test(request.url()) || say(`asked for ${request.url()}`));
      await page.goto(pathToFileURL(file).href);
      const found = await page.evaluate(async (source) => {
        (0, eval)(source);
        document.querySelectorAll('details').forEach((one) => (one.open = true));
        const { scrollWidth, clientWidth } = document.documentElement;
        const { violations } = await window.axe.run();
        return [scrollWidth - clientWidth, violations.map((v) => `${v.impact} ${v.id}: ${v.nodes[0].html}`)];
      }, axe.source);
      if (found[0] > 0) say(`is ${found[0]} px wider than its window`);
      found[1].forEach(say);
      await page.close();
    }
  }
}
await browser.close();
console.log(against.join('\n'));
process.exit(against.length > 0 ? 1 : 0);
