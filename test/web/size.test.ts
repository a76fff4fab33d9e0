import assert from 'node:assert/strict'
import { globSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

const dist = join(import.meta.dirname, '../../web/dist')
/** Of scripts, as they go over the wire to browsers that take nothing better than gzip. */
const maxBytes = 150 * 1024

test('all scripts that one person can come to load are under 150 KB', () => {
  const scripts = globSync('assets/*.js.gz', { cwd: dist }).map((name) => ({
    name,
    bytes: statSync(join(dist, name)).size,
  }))
  assert.ok(scripts.length > 0, 'the page is not built: npm run build:web')
  const locales = scripts.filter(({ name }) => /locales\./.test(name)).map(({ bytes }) => bytes)
  const others = scripts.filter(({ name }) => !/locales\./.test(name)).map(({ bytes }) => bytes)
  const total = others.reduce((sum, bytes) => sum + bytes, Math.max(...locales))
  assert.ok(total < maxBytes, `${total} bytes: ${JSON.stringify(scripts)}`)
})
