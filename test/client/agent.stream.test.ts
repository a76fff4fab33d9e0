import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createAgentStream } from '../../src/client/agent.stream.ts'
import { CommandFailed } from '../../src/client/socket.ts'

type Append = { offset: number; text: string }
const lost = () => new CommandFailed({ code: 'unavailable', message: '', retryable: true })
const conflict = (durable: number) =>
  new CommandFailed({ code: 'conflict', message: '', retryable: false, details: { durable } })

/** The server's end of a stream; `meddle` may throw in place of an answer, or change what is held. */
function streamTo(meddle: (held: { text: string }, name: string, count: number) => void = () => {}) {
  const held = { text: '' }
  const commands: string[] = []
  const appends: (Append & { at: number })[] = []
  const command = async (name: string, input: unknown): Promise<unknown> => {
    commands.push(name)
    meddle(held, name, commands.length)
    if (name !== 'stream:append') return { id: 'm1', seq: 1, prevChange: 0, change: 1 }
    const { offset, text } = input as Append
    assert.ok(text.length <= 16_000 && text.isWellFormed())
    appends.push({ offset, text, at: Date.now() })
    if (offset > held.text.length) throw conflict(held.text.length)
    held.text += text.slice(held.text.length - offset)
    return { offset: held.text.length, durable: 0 }
  }
  const stream = createAgentStream(command as never, { conversationId: 'c1', clientId: 'x' })
  return { stream, held, commands, appends }
}

describe("an agent's stream", () => {
  it('sends the first piece at once and gathers what follows, at most 20 times a second', async () => {
    const { stream, held, appends } = streamTo()
    const words = Array.from({ length: 200 }, (_, i) => `word${i} `)
    for (const word of words) {
      await stream.write(word)
      await new Promise((resolve) => setImmediate(resolve))
    }
    await stream.finish()
    assert.equal(held.text, words.join(''))
    for (const [i, { at }] of appends.entries()) if (i > 0) assert.ok(at - (appends[i - 1]?.at ?? 0) >= 45)
  })

  it('is cut between characters, and what is no character goes out as a sign in its place', async () => {
    const { stream, held, appends } = streamTo()
    await stream.write(`a${'😀'.repeat(12_000)}\0\ud83d`)
    await stream.finish()
    assert.equal(held.text, `a${'😀'.repeat(12_000)}\ufffd\ufffd`)
    assert.deepEqual(
      appends.map(({ text }) => text.length),
      [15_999, 8004],
    )
  })

  it('goes on after lost answers, and sends again what a node took with it, before it ends', async () => {
    let ends = 0
    const { stream, held } = streamTo((held, name, count) => {
      if (count === 1 || count === 3) throw lost()
      if (name !== 'stream:finish' || ++ends > 1) return
      held.text = held.text.slice(0, 3)
      throw lost()
    })
    await stream.write('Hello, ')
    await stream.write('world')
    await stream.finish()
    assert.equal(held.text, 'Hello, world')
    assert.equal(ends, 2)
  })

  it('does nothing more once it is stopped, or its message has ended', async () => {
    const { stream, commands } = streamTo((_, name) => {
      if (name === 'stream:append') throw new CommandFailed({ code: 'gone', message: '', retryable: false })
    })
    const aborted = new Promise((resolve) => stream.signal.addEventListener('abort', resolve))
    await stream.write('Hello')
    await aborted
    await stream.write(' again')
    await stream.finish()
    assert.deepEqual(commands, ['stream:start', 'stream:append'])
  })

  it('rejects where its text is refused, and can still be ended as failed', async () => {
    const { stream, commands } = streamTo((_, name) => {
      if (name === 'stream:append')
        throw new CommandFailed({ code: 'payload_too_large', message: '', retryable: false })
    })
    await stream.write('Hello')
    await assert.rejects(stream.finish(), { code: 'payload_too_large' })
    await stream.fail('agent_failed')
    assert.equal(commands.at(-1), 'stream:fail')
  })
})
