import type { TestEvent } from 'node:test/reporters'

/**
 * A reporter beside the usual one: names each test that was skipped or put off, and in CI, where every service is
 * there, makes the run fail for it. A check that silently does not run is worse than none.
 */
export default async function* refuseSkips(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  for await (const event of events) {
    if (event.type !== 'test:pass' && event.type !== 'test:fail') continue
    const { name, file, skip, todo } = event.data
    const reason = skip ?? todo
    if (reason === undefined || reason === false) continue
    if (process.env.CI === 'true') process.exitCode = 1
    yield `not run: ${file ?? ''} "${name}" (${reason === true || reason === '' ? 'no reason given' : reason})\n`
  }
}
