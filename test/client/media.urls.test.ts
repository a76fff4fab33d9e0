import assert from 'node:assert/strict'
import { beforeEach, describe, it } from 'node:test'
import { createMediaUrls, type MediaUrlOf } from '../../src/client/media.urls.ts'
import { createServerClock } from '../../src/client/server.clock.ts'
import type { Attachment } from '../../src/media/media.contract.ts'

describe('addresses of media', () => {
  /** Seconds since 1970, by the server's clock. */
  let now: number
  let asked: string[]
  let refusal: Error | undefined
  let mediaUrl: MediaUrlOf

  const address = (id: string, variant: string, expires: number) =>
    `/v1/media/${id}/${variant}?expires=${expires}&signature=s`

  beforeEach(() => {
    now = 1_800_000_000
    asked = []
    refusal = undefined
    const clock = { now: () => now * 1000, learn() {} }
    mediaUrl = createMediaUrls({ url: 'https://chat.example.org/below/', clock, get })
  })

  async function get(id: string): Promise<Attachment> {
    asked.push(id)
    if (refusal) throw refusal
    const [url, thumbnailUrl] = ['original', 'thumbnail'].map((variant) => address(id, variant, now + 600)) as [
      string,
      string,
    ]
    return { id, kind: 'image', mime: 'image/webp', bytes: 1, url, ...(id !== 'plain' && { thumbnailUrl }) }
  }

  const below = (path: string) => `https://chat.example.org/below${path}`

  it('that are good are given as they are, from the server where they are paths', async () => {
    const good = address('a', 'original', now + 60)
    assert.equal(await mediaUrl(good), below(good))
    assert.equal(await mediaUrl(`https://cdn.example.org${good}`), `https://cdn.example.org${good}`)
    assert.equal(await mediaUrl('/elsewhere.png?expires=1'), below('/elsewhere.png?expires=1'))
    assert.deepEqual(asked, [])
  })

  it('that have expired, or will in a moment, are exchanged, each for its own kind', async () => {
    const thumbnail = await mediaUrl(address('a', 'thumbnail', now + 3))
    assert.equal(thumbnail, below(address('a', 'thumbnail', now + 600)))
    assert.equal(await mediaUrl(address('a', 'original', now - 1)), below(address('a', 'original', now + 600)))
    assert.equal(await mediaUrl(address('plain', 'thumbnail', 0)), below(address('plain', 'original', now + 600)))
    assert.deepEqual(asked, ['a', 'plain'])
  })

  it('are asked for again once what was given has expired, too', async () => {
    const old = address('a', 'original', now - 1)
    await mediaUrl(old)
    now += 599
    assert.equal(await mediaUrl(old), below(address('a', 'original', now + 600)))
    assert.deepEqual(asked, ['a', 'a'])
  })

  it('just given are believed, also where they are said to have expired', async () => {
    const slow = createMediaUrls({ url: 'https://chat.example.org', clock: { now: () => Infinity, learn() {} }, get })
    const old = address('a', 'original', now - 1)
    assert.equal(await slow(old), `https://chat.example.org${address('a', 'original', now + 600)}`)
  })

  it('that are refused are asked for anew the next time, by one request for all who wait', async () => {
    const old = address('a', 'original', now - 1)
    refusal = new Error('not now')
    const both = await Promise.allSettled([mediaUrl(old), mediaUrl(old)])
    assert.deepEqual(
      both.map(({ status }) => status),
      ['rejected', 'rejected'],
    )
    refusal = undefined
    assert.equal(await mediaUrl(old), below(address('a', 'original', now + 600)))
    assert.deepEqual(asked, ['a', 'a'])
  })

  it('are held against the clock of the server, as far as that is known', (t) => {
    t.mock.timers.enable({ apis: ['Date'], now: 1_000_000 })
    const clock = createServerClock()
    assert.equal(clock.now(), 1_000_000)
    clock.learn(new Date(5_000_000).toISOString())
    clock.learn(null)
    t.mock.timers.setTime(1_000_500)
    assert.equal(clock.now(), 5_000_500)
  })
})
