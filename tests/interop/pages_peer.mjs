// A real browser, told line by line what to do: Chromium by playwright-core, and axe looking at what it shows.
import { createInterface } from 'node:readline'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { chromium } from 'playwright-core'

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']
const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync', '--ignore-certificate-errors']
let browser, context, page, refused

const actions = {
  async open({ executable, javascript = true, scheme = 'light', width = 1280 }) {
    browser ??= await chromium.launch({ executablePath: executable, args: FLAGS })
    await context?.close()
    context = await browser.newContext({
      ignoreHTTPSErrors: true, javaScriptEnabled: javascript, colorScheme: scheme, viewport: { width, height: 860 },
    })
    page = await context.newPage()
    page.setDefaultTimeout(15000)
    refused = []
    page.on('console', (message) => { if (/Content Security Policy/.test(message.text())) refused.push(message.text()) })
  },
  async goto({ url }) {
    const answer = await page.goto(url)
    return answer.status()
  },
  async fill({ selector, value }) { await page.fill(selector, value) },
  async select({ selector, value }) { await page.selectOption(selector, value) },
  async click({ selector }) { await page.click(selector); await page.waitForLoadState() },
  async press({ key }) { await page.keyboard.press(key) },
  async focused() { return page.evaluate(() => document.activeElement.textContent) },
  async text({ selector = 'body' }) { return page.innerText(selector) },
  async count({ selector }) { return page.locator(selector).count() },
  async url() { return page.url() },
  async refused() { return refused },
  async overflows() { return page.evaluate(() => document.documentElement.scrollWidth > window.innerWidth) },
  async screenshot({ path }) { await page.screenshot({ path, fullPage: true }) },
  // axe runs in a world of its own, so that the page's policy need not be loosened for it
  async axe() {
    const session = await context.newCDPSession(page)
    const { frameTree } = await session.send('Page.getFrameTree')
    const { executionContextId } = await session.send('Page.createIsolatedWorld', { frameId: frameTree.frame.id })
    const expression = `${axe}; axe.run(document, { runOnly: ${JSON.stringify(TAGS)} })`
      + '.then((found) => found.violations.map((one) => `${one.id}: ${one.nodes.map((node) => node.target).join(" | ")}`))'
    const run = { contextId: executionContextId, expression, awaitPromise: true, returnByValue: true }
    const { result, exceptionDetails } = await session.send('Runtime.evaluate', run)
    if (exceptionDetails) throw new Error(exceptionDetails.text)
    return result.value
  },
  async close() { await browser?.close() },
}

for await (const line of createInterface({ input: process.stdin })) {
  const { action, ...request } = JSON.parse(line)
  let answer
  try {
    answer = { value: (await actions[action](request)) ?? null }
  } catch (error) {
    answer = { error: `${error.name}: ${error.message}` }
  }
  process.stdout.write(JSON.stringify(answer) + '\n')
}
