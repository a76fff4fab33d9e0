import type { Logger } from 'pino'
import type { Database } from '../database/database.ts'
import type { DomainEvents } from '../kernel/domain-events.ts'
import type { Metrics } from '../kernel/metrics.ts'
import type { Operation, Route } from '../kernel/operation.ts'
import type { Attachments, ExportSection, Fanout, Jobs, MediaUrls, Presence } from '../kernel/ports.ts'
import type { Models } from './assistants.service.ts'
import { createAttachmentUse } from './attachment-use.ts'
import type { People } from './beginnings.ts'
import { createBlocks } from './blocks.ts'
import { createConversations } from './conversations.service.ts'
import { createDepartures } from './departures.ts'
import { createDissolution } from './dissolution.ts'
import { createHistory } from './history.service.ts'
import { createMemberships } from './memberships.ts'
import { createMessageWriter, type MessageWriter } from './message-writer.ts'
import { createMessages } from './messages.service.ts'
import { messengerEvents, type Sent } from './messenger.contract.ts'
import { messengerOperations } from './messenger.operations.ts'
import { messengerRoutes } from './messenger.routes.ts'
import { messengerSections } from './own-data.ts'
import { createParticipants } from './participants.service.ts'
import { peersOf } from './peers.ts'
import { createPeopleChanges } from './people-changes.ts'
import { createReactions } from './reactions.service.ts'
import { createReceipts } from './receipts.service.ts'
import { createSearch } from './search.service.ts'
import { createSearchIndex } from './search-index.ts'
import { createSignals } from './signals.service.ts'
import { createStreams, type Streams } from './streams.service.ts'
import { createSync } from './sync.service.ts'
import { createTitles } from './titles.ts'

export { type FaceRow, faceColumns, presentFace } from './conversation.presenter.ts'
export { createMemberships } from './memberships.ts'

export interface Messenger {
  commands: Operation[]
  routes: Route[]
  events: typeof messengerEvents
  /** Calls from now on who has agents answer, after each commit of messages that may ask for it. */
  onAsked: MessageWriter['onAsked']
  /** Messages whose text grows, for the feature that writes them. */
  streams: Streams
  /** Names a conversation that has no title yet. */
  giveTitle(conversationId: string, title: string): Promise<void>
  /** The people whom the user meets in conversations, but for those with a block between them. */
  peersOf(userId: string): Promise<string[]>
  /**
   * Answers a story in the direct conversation of the two, which begins if there is none; once per client id.
   * @throws AppError forbidden where one has blocked the other, not_found where no conversation can begin,
   *   idempotency_conflict
   */
  replyToStory(reply: StoryReply): Promise<{ conversationId: string } & Sent>
  /** Stores and tells what waits; for a shutdown. */
  close(): Promise<void>
}

export interface StoryReply {
  senderId: string
  /** Who told the story. */
  recipientId: string
  storyId: string
  clientId: string
  content: string
}

/** Conversations, participants, messages and what hangs on them. */
export function createMessenger(given: {
  database: Database
  attachments: Attachments
  urls: MediaUrls
  fanout: Fanout
  presence: Presence
  users: People
  models: Models
  events: DomainEvents
  jobs: Jobs
  /** Takes what the messenger knows of a user into the export of the user's data. */
  addExportSection(section: ExportSection): void
  metrics: Metrics
  log: Logger
  maxGroupSize: number
}): Messenger {
  const deps = { ...given, dissolveIn: createDissolution(given) }
  const { database, attachments } = deps
  attachments.declareUse(createAttachmentUse(database))
  createBlocks(deps)
  const searchIndex = createSearchIndex(deps)
  const writer = createMessageWriter({ ...deps, searchIndex })
  const conversations = createConversations(deps)
  const receipts = createReceipts(deps)
  createDepartures(deps)
  createPeopleChanges({ ...deps, memberships: createMemberships(database) })
  for (const section of messengerSections(database)) deps.addExportSection(section)
  const messages = createMessages({ ...deps, writer, searchIndex })
  const operations = messengerOperations({
    conversations,
    receipts,
    participants: createParticipants({ ...deps, conversations }),
    messages,
    history: createHistory(deps),
    reactions: createReactions(deps),
    search: createSearch(deps),
    signals: createSignals(deps),
    sync: createSync({ ...deps, conversations }),
  })
  return {
    commands: Object.values(operations),
    routes: messengerRoutes(operations),
    events: messengerEvents,
    onAsked: writer.onAsked,
    streams: createStreams({ ...deps, searchIndex }),
    giveTitle: createTitles(deps),
    peersOf: (userId) => peersOf(database, userId),
    async replyToStory({ senderId, recipientId, storyId, clientId, content }) {
      const conversationId = await conversations.directOf(senderId, recipientId)
      const sent = await messages.send(
        { conversationId, clientId, content },
        { senderId, socketId: undefined },
        storyId,
      )
      return { conversationId, ...sent }
    },
    async close() {
      await writer.drain()
      receipts.close()
      await searchIndex.close()
    },
  }
}
