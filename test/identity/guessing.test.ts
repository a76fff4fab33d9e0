import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, beforeEach, describe, test } from 'node:test'
import { sql } from 'kysely'
import type { Session } from '../../src/identity/identity.contract.ts'
import { createHashing } from '../../src/identity/password.ts'
import type { AppError } from '../../src/kernel/errors.ts'
import { guards } from '../../src/kernel/limits.ts'
import { createGuesses } from '../../src/transport/guesses.ts'
import { eventually, startScene } from '../faults/scene.ts'
import { password, startIdentity, type TestIdentity, withCode } from '../support/identity.ts'
import { register as registerAt } from '../support/people.ts'
import { withoutServices } from '../support/services.ts'

/** Few attempts, so that tests need few hashes, and pauses that can be waited for. */
const rules = {
  ...guards,
  password: { free: 3, seconds: 600, longestPause: 1 },
  password_of_account: { free: 8, seconds: 600, longestPause: 1 },
  password_from_address: { free: 12, seconds: 600, longestPause: 1 },
}

/** Every test begins without a count: what is asked here is answered by the guesses of the test. */
let counted = newGuesses()
function newGuesses() {
  return createGuesses({ enabled: true, shared: undefined, rules })
}

let identity: TestIdentity
before(async () => {
  identity = await startIdentity(
    { passwordHash: { memoryKib: 8192, iterations: 1 } },
    {
      guesses: {
        attempt: (guard, key) => counted.attempt(guard, key),
        forgive: (guard, key) => counted.forgive(guard, key),
      },
    },
  )
})
beforeEach(() => {
  counted = newGuesses()
})
after(() => identity.close())

const login = (name: object, typed: string, ip = '192.0.2.1') =>
  identity.call<Session>('auth:login', { ...name, password: typed }, undefined, { ip })

/** What became of a login: `ok`, or the error's code. */
const outcome = (name: object, typed = 'wrong password', ip?: string): Promise<string> =>
  login(name, typed, ip).then(
    () => 'ok',
    (error: AppError) => error.code,
  )

async function many(count: number, work: () => Promise<string>): Promise<string[]> {
  const outcomes: string[] = []
  for (let i = 0; i < count; i++) outcomes.push(await work())
  return outcomes
}

const [wrong, paused] = ['unauthenticated', 'rate_limited']

test('after some wrong passwords the right one has to wait as well, and says for how long', async () => {
  await identity.register('ann')
  assert.deepEqual(await many(3, () => outcome({ username: 'ann' })), [wrong, wrong, wrong])
  await assert.rejects(login({ username: 'ann' }, password), (error: AppError) => {
    assert.equal(error.code, 'rate_limited')
    assert.equal(error.details?.retryAfterSeconds, 1)
    return true
  })
  await eventually('the pause ends', async () => (await outcome({ username: 'ann' }, password)) === 'ok')
  assert.deepEqual(await many(4, () => outcome({ username: 'ann' })), [wrong, wrong, wrong, paused], 'all is forgotten')
})

test('fifty wrong passwords at once are judged as often as one after the other', async () => {
  await identity.register('bella')
  const outcomes = await Promise.all(Array.from({ length: 50 }, () => outcome({ username: 'bella' })))
  assert.equal(outcomes.filter((code) => code === wrong).length, 3)
  assert.equal(outcomes.filter((code) => code === paused).length, 47)
})

test('an account that does not exist has the same limits, and its names count apart like those of one that does', async () => {
  await identity.register('known')
  await identity.remove((await identity.register('gone')).user.id)
  const seen = new Set<string>()
  for (const name of ['known', 'gone', 'nobody']) {
    const ip = `192.0.2.${name.length}`
    const byName = await many(5, () => outcome({ username: name }, undefined, ip))
    const byAddress = await many(5, () => outcome({ email: `${name}@example.org` }, undefined, ip))
    seen.add([...byName, ...byAddress].join())
  }
  assert.deepEqual([...seen], [[wrong, wrong, wrong, paused, paused, wrong, wrong, wrong, paused, paused].join()])
})

test('a name in another letter case is the same name', async () => {
  await identity.register('Kim.Il')
  const outcomes: string[] = []
  // those of the database's rules too: U+0130 and U+212A are letters whose lower case is ASCII to some
  for (const name of ['kim.il', 'KIM.IL', 'K\u0130M.\u0130L', '\u212Aim.il', 'Kim.iL'])
    outcomes.push(await outcome({ username: name }))
  const names = await identity.database.query(sql<{ same: boolean }>`
    select lower(name) = 'kim.il' as same
    from unnest(${['kim.il', 'KIM.IL', 'K\u0130M.\u0130L', '\u212Aim.il', 'Kim.iL']}::text[]) name`)
  let left = 3
  const expected = names.map(({ same }) => {
    if (!same) return wrong
    left -= 1
    return left >= 0 ? wrong : paused
  })
  assert.deepEqual(outcomes, expected)
})

test('whoever guesses at an account does not hold up its owner elsewhere, until there are many', async () => {
  await identity.register('carla')
  assert.deepEqual((await many(4, () => outcome({ username: 'carla' }, undefined, '192.0.2.66'))).at(-1), paused)
  assert.equal(await outcome({ username: 'carla' }, password, '192.0.2.1'), 'ok')
  for (let i = 0; i < 8; i++) assert.equal(await outcome({ username: 'carla' }, undefined, `192.0.2.${100 + i}`), wrong)
  assert.equal(await outcome({ username: 'carla' }, password, '192.0.2.1'), paused)
})

test('guesses of one address at many accounts come to an end; right passwords and refused ones do not count', async () => {
  for (const name of ['emma', 'finn']) await identity.register(name)
  assert.deepEqual(new Set(await many(15, () => outcome({ username: 'emma' }, password))), new Set(['ok']))
  assert.equal((await many(20, () => outcome({ username: 'finn' }))).filter((code) => code === paused).length, 17)
  for (let i = 3; i < 12; i++) assert.equal(await outcome({ username: `person-${i}` }), wrong)
  assert.equal(await outcome({ username: 'person-12' }), paused)
  assert.equal(await outcome({ username: 'emma' }, password), paused)
  assert.equal(await outcome({ username: 'emma' }, password, '192.0.2.2'), 'ok')
})

test('an IPv6 network of 64 bits is one address', async () => {
  await identity.register('dora')
  for (let i = 0; i < 3; i++) assert.equal(await outcome({ username: 'dora' }, undefined, `2001:db8:0:1::${i}`), wrong)
  assert.equal(await outcome({ username: 'dora' }, undefined, '2001:db8:0:1:f:f:f:f'), paused)
  assert.equal(await outcome({ username: 'dora' }, undefined, '2001:db8:0:2::1'), wrong)
})

test('a ban shows to the right password alone, in the words of its reason, and is not guessing', async () => {
  const { user } = await identity.register('rowdy')
  await identity.database.query(sql`
    update users set banned_at = now(), ban_reason = 'Insults' where id = ${user.id}`)
  await assert.rejects(login({ username: 'rowdy' }, password), (error: AppError) => {
    assert.deepEqual([error.code, error.details], ['banned', { reason: 'Insults' }])
    return true
  })
  assert.deepEqual(new Set(await many(5, () => outcome({ username: 'rowdy' }, password))), new Set(['banned']))
})

const refusedPassword = (path: string) => (error: AppError) => {
  assert.equal(error.code, 'invalid_request')
  assert.deepEqual(
    error.errors?.map((field) => field.path),
    [path],
  )
  return true
}

test('a new password that many would guess, or that is the name of its owner, is refused', async () => {
  const count = async () => (await identity.database.query(sql`select id from users`)).length
  const before = await count()
  for (const common of ['password1', 'PassWord1', '1q2w3e4r5t', 'iloveyou', 'qwertyuiop', '11111111'])
    await assert.rejects(identity.register('gina', { password: common }), refusedPassword('password'), common)
  for (const own of ['longer.name', 'Longer.Name', 'longer.name@example.org', 'LONGER.NAME@example.org'])
    await assert.rejects(identity.register('longer.name', { password: own }), refusedPassword('password'), own)
  assert.equal(await count(), before)
  for (const [name, good] of Object.entries({ gina: 'correct horse', hans: 'tr0ub4dor&3x', ida: '漢字で八文字以上だ' }))
    await identity.register(name, { password: good })
})

describe('the cost of a hash', () => {
  let dear: TestIdentity
  before(async () => {
    dear = await startIdentity({ passwordHash: { memoryKib: 65_536, iterations: 3 } })
  })
  after(() => dear.close())

  const hashOf = async (username: string) => {
    const [row] = await dear.database.query(
      sql<{ hash: string }>`select password_hash as hash from users where username = ${username}`,
    )
    return row?.hash ?? ''
  }
  const enter = (username: string, typed: string) => dear.call<Session>('auth:login', { username, password: typed })
  const configured = /^\$argon2id\$v=19\$m=65536,t=3,p=1\$/

  test('is that of the configuration', async () => {
    await dear.register('ann')
    const hash = await hashOf('ann')
    assert.match(hash, configured)
    await enter('ann', password)
    assert.equal(await hashOf('ann'), hash, 'a login leaves it as it is')
  })

  test('changes with the configuration: an older hash is good, and is replaced when its password is at hand', async () => {
    await dear.register('ben')
    const old = await createHashing({ memoryKib: 8192, iterations: 1 }).hash(password)
    const turnBack = () => dear.database.query(sql`update users set password_hash = ${old} where username = 'ben'`)
    await turnBack()
    await assert.rejects(enter('ben', 'wrong password'), withCode('unauthenticated'))
    assert.equal(await hashOf('ben'), old, 'a wrong password replaces nothing')
    await enter('ben', password)
    const renewed = await hashOf('ben')
    assert.match(renewed, configured)
    await enter('ben', password)
    assert.equal(await hashOf('ben'), renewed)
    await assert.rejects(enter('ben', 'wrong password'), withCode('unauthenticated'))

    await turnBack()
    const sessions = await Promise.all(Array.from({ length: 10 }, () => enter('ben', password)))
    assert.equal(new Set(sessions.map(({ refreshToken }) => refreshToken)).size, 10, 'ten at once all come in')
    assert.match(await hashOf('ben'), configured)
  })

  test('a password that was changed while it was being checked opens nothing', async () => {
    await dear.register('cat')
    const [row] = await dear.database.query(sql<{ id: string }>`select id from users where username = 'cat'`)
    const other = await createHashing({ memoryKib: 8192, iterations: 1 }).hash('another password')
    const login = enter('cat', password)
    // the hash is read by now or will be: hashing at this cost takes far longer than this statement
    await dear.database.query(sql`select 1`)
    await dear.database.query(sql`update users set password_hash = ${other} where id = ${row?.id}`)
    await assert.rejects(login, withCode('unauthenticated'))
    assert.equal(await hashOf('cat'), other)
  })

  test('is the same for an unknown account and for a wrong password', async () => {
    await dear.register('timed')
    /** The least processor time of some logins: the work itself, whatever else the machine does meanwhile. */
    const work = async (username: string) => {
      let least = Infinity
      for (let round = 0; round < 5; round++) {
        const from = process.cpuUsage()
        await assert.rejects(enter(username, 'wrong password'))
        least = Math.min(least, process.cpuUsage(from).user)
      }
      return least
    }
    await work('timed')
    const [known, unknown] = [await work('timed'), await work('nobody-at-all')]
    // the standard cost is a fifth of this one
    assert.ok(unknown > known / 2 && known > unknown / 2, `known ${known} µs, unknown ${unknown} µs`)
  })
})

test('two nodes count as one: of a hundred wrong passwords at once the free ones are judged', {
  skip: withoutServices,
}, async (t) => {
  const { a, b } = await startScene(t, 2, {
    ...{ RATE_LIMITS: 'on', TRUST_PROXY: '1' },
    // on a Redis that is shared, what an earlier run has counted would count
    REDIS_PREFIX: `guessing-${randomBytes(6).toString('hex')}`,
  })
  const { user } = await registerAt(a, 'ann')
  const login = (node: string, address: string) =>
    fetch(`${node}/v1/auth/login`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-forwarded-for': address },
      body: JSON.stringify({ username: user.username, password: 'wrong password' }),
    })
  /** A hundred at once, and how many attempts the pauses may have let by while they were coming in. */
  async function hundred(addressOf: (i: number) => string) {
    const started = performance.now()
    const answers = await Promise.all(Array.from({ length: 100 }, (_, i) => login(i % 2 ? a : b, addressOf(i))))
    // pauses of 2, 4, … 2ⁿ seconds take 2ⁿ⁺¹ - 2
    const letBy = Math.floor(Math.log2((performance.now() - started) / 1000 + 2) - 1)
    return { answers, letBy, judged: answers.filter(({ status }) => status === 401).length }
  }
  const { password: ofPair, password_of_account: ofAccount } = guards

  const one = await hundred(() => '203.0.113.1')
  assert.ok(one.judged >= ofPair.free && one.judged <= ofPair.free + one.letBy, `${one.judged} were judged`)
  const refused = one.answers.filter(({ status }) => status === 429)
  assert.equal(refused.length, 100 - one.judged)
  for (const { headers } of refused) assert.ok(Number(headers.get('retry-after')) >= 1)

  const several = await hundred((i) => `203.0.113.${100 + i}`)
  const free = ofAccount.free - one.judged
  assert.ok(several.judged >= free && several.judged <= free + several.letBy, `${several.judged} were judged`)
})
