import { type Signal, signal } from '@preact/signals'
import type { Conversation, Message, Participant } from '../../../src/client/index.ts'
import type { ReplyTarget } from './drafts.ts'
import { draftOf } from './own-drafts.ts'

/** What is open over the conversation, of one message. */
export interface OpenDialog {
  kind: 'readers' | 'revisions' | 'delete' | 'forward'
  message: Message
}

/** What is open beside a button of a message. */
export interface OpenPopup {
  kind: 'menu' | 'emoji'
  message: Message
  anchor: Element
}

/** What a screen of one conversation is about at the moment: one object for the life of the screen. */
export interface Scene {
  readonly conversationId: string
  readonly replyTo: Signal<ReplyTarget | undefined>
  readonly editing: Signal<Message | undefined>
  readonly dialog: Signal<OpenDialog | undefined>
  readonly popup: Signal<OpenPopup | undefined>
  /** The seq to go to; a new object each time, also for the same seq. */
  readonly jump: Signal<{ seq: number } | undefined>
  /** The seq of the message that stands out for a moment. */
  readonly highlighted: Signal<number | undefined>
  /** Counted up to put the caret into the composer. */
  readonly focused: Signal<number>
}

export const createScene = (conversationId: string, at: number | undefined): Scene => ({
  conversationId,
  replyTo: signal(draftOf(conversationId)?.replyTo),
  editing: signal(undefined),
  dialog: signal(undefined),
  popup: signal(undefined),
  jump: signal(at === undefined ? undefined : { seq: at }),
  highlighted: signal(undefined),
  focused: signal(0),
})

/** By user id: names and avatars of those who take part; the same object as long as none of it changes. */
export type People = ReadonlyMap<string, Participant>

/** What rows show of a conversation besides their messages: kept the same while that is the same. */
export interface Surroundings {
  conversation: Conversation
  people: People
}

const facesOf = ({ participants }: Conversation): string =>
  participants
    .map((one) => [one.userId, one.username, one.displayName, one.avatarUrl, one.role].join('\u0001'))
    .join('\u0002')

const fields = ['id', 'type', 'title', 'models', 'systemPrompt', 'createdBy', 'parentId', 'breakoutModelId'] as const

/** Gives the surroundings of a conversation, again and again as that changes. */
export function createSurroundings(): (conversation: Conversation) => Surroundings {
  let latest: (Surroundings & { faces: string }) | undefined
  return (conversation) => {
    // growing texts leave the participants the same object
    const isSamePeople = latest?.conversation.participants === conversation.participants
    const faces = latest && isSamePeople ? latest.faces : facesOf(conversation)
    const isSame = latest?.faces === faces && fields.every((name) => latest?.conversation[name] === conversation[name])
    if (latest && isSame) return latest
    const people = new Map(conversation.participants.map((one) => [one.userId, one]))
    latest = { conversation, people, faces }
    return latest
  }
}
