import { randomBytes } from 'node:crypto'
import { ApiError, type Client, createClient } from '../../src/client/index.ts'
import type { Chat } from './chat.ts'
import { inParallel, untilRisen } from './progress.ts'

/** Someone of the chat, with an account and a client of their own. */
export type Person = { id: string; nick: string; client: Client }

/** A password costs the server tens of milliseconds of a core: more at once only wait. */
const registrationsAtOnce = 8
const handshakesAtOnce = 50

/**
 * Gives everyone an account, spread evenly over the nodes. Usernames are `u` with a number, since many nicks break the
 * rules for usernames; where another run has taken it, it bears the name of this run too.
 * @throws Error where the server limits how many may register
 */
export async function register(chat: Chat, urls: string[]): Promise<Person[]> {
  const run = randomBytes(3).toString('hex')
  const password = randomBytes(18).toString('base64url')
  const people: Person[] = []
  let registered = 0
  let isTaken = false
  /** How many more may register; undefined where the server does not limit it. */
  let allowed: number | undefined

  const noting: typeof fetch = async (...args) => {
    const response = await fetch(...args)
    const remaining = response.headers.get('ratelimit-remaining')
    allowed = remaining === null ? undefined : Number(remaining)
    return response
  }

  async function registerOne(number: number): Promise<void> {
    const nick = chat.nicks[number] ?? ''
    const client = createClient({ url: urls[number % urls.length] ?? '', fetch: noting })
    // padded, for the shortest username has three characters
    const plain = `u${String(number + 1).padStart(4, '0')}`
    const as = async (username: string) => {
      const email = `${username}@replay.example.org`
      const { user } = await client.register({ username, email, password, displayName: nick })
      people[number] = { id: user.id, nick, client }
      registered++
    }
    if (isTaken) return as(`${plain}-${run}`)
    await as(plain).catch((error: unknown) => {
      if (!(error instanceof ApiError) || error.code !== 'conflict') throw error
      isTaken = true
      return as(`${plain}-${run}`)
    })
  }

  const everyone = chat.nicks.map((_, number) => number)
  const limited = () => new Error(`The server limits requests: ${chat.nicks.length} people need RATE_LIMITS=off there.`)
  try {
    // one alone, to learn of limits and of taken names
    await registerOne(everyone.shift() ?? 0)
    if (allowed !== undefined && allowed < everyone.length) throw limited()
    const work = inParallel(everyone, registrationsAtOnce, registerOne)
    const isDone = await untilRisen({ title: 'accounts', total: chat.nicks.length, count: () => registered }, work)
    if (!isDone) throw new Error('The server does not answer registrations any more.')
  } catch (error) {
    throw error instanceof ApiError && error.code === 'rate_limited' ? limited() : error
  }
  return people
}

/** Connects everyone; settles when every store is at the server's state. */
export async function connect(people: Person[]): Promise<void> {
  let connected = 0
  const work = inParallel(people, handshakesAtOnce, async ({ client }) => {
    await client.connect()
    connected++
  })
  const isDone = await untilRisen({ title: 'connections', total: people.length, count: () => connected }, work)
  if (!isDone) throw new Error(`Only ${connected} of ${people.length} clients could connect: see RATE_LIMITS.`)
}

/** Ends someone's part: closes the client and forgets what it held. */
export async function dismiss({ id, client }: Person): Promise<void> {
  await client.close()
  client.store.reset(id)
}
