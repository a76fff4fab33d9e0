import type { MessengerCommand } from '../src/messenger/messenger.contract.ts'
import type { World } from './world.ts'

/** What the runner and the load process say to each other: one job, one answer. */

export type TargetName = 'bare' | 'naive' | 'kintsugi'

type Common = {
  target: TargetName
  /** One address per node; the members of a conversation are spread over them. */
  urls: string[]
  /** The processes of the server, for its memory and processor time. */
  pids: number[]
  world: World
}

/** Every sender sends, waits for the acknowledgment and sends again: a closed loop. */
export type TrafficJob = Common & { kind: 'traffic'; warmUpSeconds: number; seconds: number }

/** Everyone connects and is silent. */
export type IdleJob = Common & { kind: 'idle' }

/** Everyone connects, is dropped and comes back at once, and brings itself up to date. */
export type ReconnectJob = Common & { kind: 'reconnect' }

/** A command with inputs to give in turn, by the person who gives it. */
export type Probe = { person: number; command: MessengerCommand; inputs: unknown[] }

/** Each command `repeats` times, taking turns, one at a time. */
export type QueriesJob = Common & { kind: 'queries'; probes: Probe[]; repeats: number }

/** Everyone asks the model, half of them for `tokens` tokens and half for half as many, and reads. */
export type StreamsJob = Common & { kind: 'streams'; model: string; tokens: number }

/** Everyone uploads a file of about so many bytes, all at once. */
export type UploadsJob = Common & { kind: 'uploads'; fileBytes: number }

/** The first person looks at the first conversation in a browser, and scrolls to its beginning. */
export type PageJob = Common & { kind: 'page' }

export type Job = TrafficJob | IdleJob | ReconnectJob | QueriesJob | StreamsJob | UploadsJob | PageJob

export type TrafficResult = {
  /** Length of the measured window, in seconds. */
  seconds: number
  /** In the window: acknowledged sends, and messages received by others than their senders. */
  sends: number
  deliveries: number
  /** Milliseconds from send to acknowledgment. */
  p50: number
  p99: number
  /** Seconds of processor time in the window: all nodes of the server together, and the load process. */
  serverCpu: number
  loadCpu: number
  /** Acknowledged since the start, warm-up included: this many rows must be stored. */
  acked: number
  /** Messages that were acknowledged but did not reach every other member within ten seconds. */
  missing: number
}

/** `bytes`: what the server has resident with all sockets open. */
export type IdleResult = { sockets: number; bytes: number }

export type StreamsResult = {
  streams: number
  /** Those of which the reader heard exactly what is stored. */
  whole: number
  /** Why others failed. */
  failures: string[]
  tokens: number
  /** Events that brought them. */
  deltas: number
  /** Milliseconds from a token's leaving the model to its reader. */
  p50: number
  p99: number
  /** What is sent for a character of the shorter and of the longer texts, in bytes. */
  bytesPerCharacter: { short: number; long: number }
  seconds: number
  /** Seconds of processor time of the server meanwhile. */
  serverCpu: number
}

export type UploadsResult = {
  /** Those that were taken, and of them those that came back whole (of Kintsugi). */
  uploads: number
  intact: number
  /** Why others failed. */
  failures: string[]
  seconds: number
  /** What the server had resident before, and at the most. */
  idleBytes: number
  peakBytes: number
  /** Milliseconds between two looks of the server's event loop, which are to be 10, during the uploads. */
  lagP50: number
  lagP99: number
  lagMax: number
  /** Seconds of processor time of the server meanwhile. */
  serverCpu: number
}

export type PageResult = {
  /** Milliseconds from the answer with the last messages to these on the screen, of each opening with a fresh page. */
  coldOpenings: number[]
  /** Milliseconds from the press on it in the list to its last page on the screen, of each opening. */
  openings: number[]
  /** Messages that passed by while scrolling to the beginning. */
  messages: number
  seconds: number
  /** Milliseconds between two frames while scrolling. */
  frameP50: number
  frameP99: number
  /** Milliseconds that each task longer than 50 ms took while scrolling. */
  longTasks: number[]
  /** The most elements that the page had meanwhile. */
  elements: number
  /** What scripts had in memory after the first page and after the last, garbage collected. */
  heapBefore: number
  heapAfter: number
}

export type ReconnectResult = {
  clients: number
  synced: number
  errors: string[]
  /** Milliseconds from the drop until a client was up to date. */
  p50: number
  p99: number
}

/** Milliseconds, in the order of the probes. */
export type QueriesResult = { p50: number[]; p99: number[] }

export type Results = {
  traffic: TrafficResult
  idle: IdleResult
  reconnect: ReconnectResult
  queries: QueriesResult
  streams: StreamsResult
  uploads: UploadsResult
  page: PageResult
}

export type Answer = { result: Results[keyof Results] } | { failure: string }
