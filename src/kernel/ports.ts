import type { Readable } from 'node:stream'
import type { Connection } from './connection.ts'
import type { GuardName } from './limits.ts'
import type { Actor } from './operation.ts'

export type { Connection } from './connection.ts'

/** What a verified access token says. */
export interface Authentication {
  actor: Actor
  expiresAt: Date
}

/** Verifies access tokens; REST and the socket handshake share it. Implemented by identity. */
export interface Authenticator {
  /**
   * Verifies signature, expiry, that the login was not revoked, and that its user is neither banned nor deleted.
   * @throws AppError unauthenticated, token_expired, banned
   */
  authenticate(accessToken: string): Promise<Authentication>
  /** Which of these logins go on; for sockets whose node may have missed a revocation. */
  liveSessions(sessionIds: string[]): Promise<Set<string>>
}

/** Verifies the keys of agents, likewise; a key does not expire. Implemented by agents. */
export interface KeyAuthenticator {
  /** What every key begins with and no access token does. */
  prefix: string
  /**
   * Looks the key up: that it is not revoked, its agent not deleted, and neither the agent nor its owner banned.
   * @throws AppError unauthenticated, banned
   */
  authenticate(key: string): Promise<{ actor: Actor }>
  /** Which of these keys, by their ids, are good; for sockets whose node may have missed a revocation. */
  liveSessions(keyIds: string[]): Promise<Set<string>>
}

/** A conversation that a user participates in, as of its `membersChange`. */
export interface Membership {
  conversationId: string
  membersChange: number
}

/** Who is in which conversation, from the database. Implemented by the messenger; the rooms of sockets follow it. */
export interface Memberships {
  conversationsOf(userId: string): Promise<Membership[]>
  /** Undefined where the conversation is gone. */
  membersOf(conversationId: string): Promise<{ userIds: string[]; membersChange: number } | undefined>
}

/** One event for a conversation's participants. */
export interface ConversationEvent {
  conversationId: string
  /** The conversation's latest join or leave as the writing transaction saw it; a node whose room is older reloads it. */
  membersChange: number
  event: string
  payload: unknown
  /** The one socket that does not hear it. */
  exceptSocket?: string | undefined
}

/** A join or leave, as the transaction that made it saw it. */
export interface MembershipChange {
  conversationId: string
  userIds: string[]
  /** The conversation's `membersChange` before and after. */
  prevMembersChange: number
  membersChange: number
}

/**
 * Brings news to sockets on every node, after the commit. A hint, never the truth: what gets lost is found by `sync`.
 * Rooms are the authorisation: a socket is in a conversation's room exactly while its user participates.
 */
export interface Fanout {
  /** To the sockets of the participants, in the order given. Settles when this node's sockets have been written to. */
  toConversations(events: ConversationEvent[]): Promise<void>
  /** A volatile event: not kept for slow readers, not sent while the link between nodes is down. */
  signal(conversationId: string, event: string, payload: unknown, exceptUser: string): void
  /** To all sockets of these users, but one. */
  toUsers(userIds: string[], event: string, payload: unknown, exceptSocket?: string): void
  /**
   * To all sockets in any of these conversations, once to each. The rooms are taken as they stand: for news that is no
   * secret, such as a name.
   */
  toPeers(conversationIds: string[], event: string, payload: unknown): void
  /** To the sockets that watch a user's presence, on this node alone: every node sees to its own. */
  toWatchers(userId: string, event: string, payload: unknown): void
  /** Lets the users' sockets hear a conversation from now on. */
  join(change: MembershipChange): void
  /** Takes the users' sockets out of a conversation. Settles when every reachable node has done so. */
  leave(change: MembershipChange): Promise<void>
  /** Takes everyone out of a conversation that was deleted. Settles when every reachable node has done so. */
  dissolve(conversationId: string): Promise<void>
  /** Sets whom a socket watches. */
  watch(socketId: string, userIds: string[]): void
  /** From now on neither of the two hears of the other's presence. */
  unwatch(pair: [string, string]): void
  /** Whether the user's sockets on this node are in the conversation's room; for signals, which read no row. */
  isInRoom(userId: string, conversationId: string): boolean
  /** Ends the sockets of these logins and agent keys. */
  closeSessions(sessionIds: string[]): void
  /** Ends all sockets of these users, after telling them why by an event. */
  closeUsers(userIds: string[], farewell: { event: string; payload: unknown }): void
}

/** Work that outlives a request and a process: kept in the database, done once by one of the nodes, retried. */
export interface Jobs {
  /** Declares a queue and what is done with its jobs, before `start`. Handlers are idempotent: a job may run again. */
  define<T extends object>(queue: {
    name: string
    /** An attempt that takes longer is given up and tried again. */
    expireSeconds: number
    /** Attempts after the first, each after twice the pause of the one before. */
    retries: number
    retryDelaySeconds?: number
    /** A cron expression (UTC) by which a job is made, with empty data; one at a time over all nodes. */
    schedule?: string
    handle(data: T, job: { id: string; signal: AbortSignal }): Promise<void>
  }): JobQueue<T>
  start(): Promise<void>
  /** Takes no further jobs and lets those under way end, for as long as given. */
  stop(graceMs: number): Promise<void>
}

export interface JobQueue<T extends object> {
  /** Adds a job in the transaction; calling what it returns after the commit lets this node begin at once. */
  enqueue(em: Connection, data: T, options?: { startAfterSeconds?: number }): Promise<() => void>
}

/** A part of the export of a user's data: one file of JSON rows in it. */
export interface ExportSection {
  /** The file's name without `.json`. */
  name: string
  /** What its rows are, as the export says it to the user. */
  about: string
  /** The user's rows, read page by page: neither all at once nor in one transaction. Without secrets, such as hashes. */
  rows(userId: string): AsyncIterable<object>
  /** Files that go with the rows, below a folder of the section's name; a name stands once. */
  files?(userId: string): AsyncIterable<{ name: string; content: Readable }>
}

/** A mail to one person. Texts only: a mail that holds a code needs no more. */
export interface Mail {
  to: string
  subject: string
  text: string
}

export interface Mailer {
  /** Settles when the mail server has taken it. @throws where it has not; the mail may be sent again */
  send(mail: Mail): Promise<void>
  close(): void
}

/** An attempt that is about to be judged. */
export interface Attempt {
  /** As if it had not been, since it has guessed nothing: it was right, or something else refused it before it was judged. */
  takeBack(): Promise<void>
}

/** Attempts at guessing something, counted over all nodes. */
export interface Guesses {
  /**
   * Counts an attempt before it is judged, so that many at once cannot slip through; after the free ones each has to
   * wait longer than the one before.
   * @throws AppError rate_limited with `retryAfterSeconds`
   */
  attempt(guard: GuardName, key: string): Promise<Attempt>
  /** Forgets the attempts, after one that was right. */
  forgive(guard: GuardName, key: string): Promise<void>
}

/** What the nodes say to each other besides events, and whether they can. Implemented over Redis. */
export interface NodeLink {
  /** While the link is down nothing is published: what would be queued comes late, and `resync` heals what is lost. */
  setPublishing(on: boolean): void
  /** The connection on which events of other nodes arrive has gone. */
  onBreak(listener: () => void): void
  /** Whether events of other nodes can arrive. */
  isListening(): boolean
  /** Sends a text to the other nodes, in one order with whatever else this node sends them. */
  tell(text: string): void
  /** Hears what other nodes tell. */
  onTold(listener: (text: string) => void): void
  /** Says that this node is alive; tells how many milliseconds ago each node did so. Throws where nothing answers. */
  beat(): Promise<Map<string, number>>
  /** Takes this node off the list, so that the others do not count it as dead. */
  goodbye(): Promise<void>
  /** The users with a socket, by node. A node's set outlives it for a while, so that the others see whom it took along. */
  presence: {
    add(userIds: string[]): Promise<void>
    remove(userId: string): Promise<void>
    /** Who of these is online at one of those nodes. */
    among(nodeIds: string[], userIds: string[]): Promise<Set<string>>
    of(nodeId: string): Promise<string[]>
  }
  close(): void
}

/** Which users have a socket anywhere. */
export interface Presence {
  onlineAmong(userIds: string[]): Promise<Set<string>>
}

export type * from './media-ports.ts'
export type * from './payment-ports.ts'
export type * from './subscription-ports.ts'

/** An OpenID Connect provider that people may log in by. */
export interface OpenIdProvider {
  /** As it stands in addresses and in `user_identities`. */
  name: string
  label: string
  issuer: string
  clientId: string
  clientSecret: string
  scope: string
}

/** What the answer of a provider is checked against; only the browser that began the login may hold it. */
export interface OpenIdChecks {
  state: string
  nonce: string
  codeVerifier: string
}

/** What a provider says of someone who logged in there, in its own words. */
export interface OpenIdClaims {
  /** Names the person at this provider for ever; at most 255 printable ASCII characters. */
  subject: string
  email: string | undefined
  /** Whether the provider vouches for that address. */
  emailVerified: boolean
  username: string | undefined
  name: string | undefined
  picture: string | undefined
  locale: string | undefined
}

/** Logins at OpenID Connect providers, by authorization code with PKCE. */
export interface OpenIdClient {
  /**
   * Where to send the browser.
   * @throws AppError upstream_failed
   */
  begin(provider: OpenIdProvider, redirectUri: string): Promise<{ url: string; checks: OpenIdChecks }>
  /**
   * Trades the provider's answer, the parameters that the browser brought back, for what it says of the person.
   * @throws AppError forbidden where the person refused, unauthenticated where the answer is not valid, upstream_failed
   */
  finish(
    provider: OpenIdProvider,
    answer: { redirectUri: string; parameters: Record<string, string>; checks: OpenIdChecks },
  ): Promise<OpenIdClaims>
}
