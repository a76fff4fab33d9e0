import { type RawBuilder, sql } from 'kysely'
import type { MediaUrls } from '../kernel/ports.ts'
import { asWritten, iso, type MessageRow, messageColumns, presentMessage } from './message.presenter.ts'
import type { Conversation, Face, Participant, SharedConversation } from './messenger.contract.ts'

/** Up to here a conversation shows all of its participants, and news of typing and reading go to all of them. */
export const smallConversation = 50

const shownOfLarge = 10

export interface ParticipantRow {
  conversation_id: string
  user_id: string
  kind: Participant['kind']
  username: string
  display_name: string
  avatar_id: string | null
  role: Participant['role']
  last_read_seq: number
  last_delivered_seq: number
  joined_at: string
  left_at: string | null
}

/** The columns of `ParticipantRow`, of `participants p` joined with `users u`. Who read a message also received it. */
export const participantColumns: RawBuilder<ParticipantRow> = sql`
  p.conversation_id, p.user_id, u.kind, u.username, u.display_name, u.avatar_id, p.role, p.last_read_seq,
  greatest(p.last_delivered_seq, p.last_read_seq) as last_delivered_seq, p.joined_at, p.left_at`

export function presentParticipant(row: ParticipantRow, urls: MediaUrls): Participant {
  return {
    userId: row.user_id,
    kind: row.kind,
    username: row.username,
    displayName: row.display_name,
    ...avatarOf(row, urls),
    role: row.role,
    lastReadSeq: row.last_read_seq,
    lastDeliveredSeq: row.last_delivered_seq,
    joinedAt: iso(row.joined_at),
    ...(row.left_at !== null && { leftAt: iso(row.left_at) }),
  }
}

/** Of a person or a conversation: a still and small image. */
const avatarOf = ({ avatar_id: id }: { avatar_id: string | null }, urls: MediaUrls): { avatarUrl?: string } =>
  id === null ? {} : { avatarUrl: urls.of(id, 'thumbnail') }

export interface FaceRow {
  user_id: string
  username: string
  display_name: string
  avatar_id: string | null
}

/** The columns of `FaceRow`, of `users u`. */
export const faceColumns: RawBuilder<FaceRow> = sql`u.id as user_id, u.username, u.display_name, u.avatar_id`

/** As `presentParticipant` shows the person. */
export const presentFace = (row: FaceRow, urls: MediaUrls): Face => ({
  userId: row.user_id,
  username: row.username,
  displayName: row.display_name,
  ...avatarOf(row, urls),
})

export interface ConversationRow {
  id: string
  type: Conversation['type']
  title: string | null
  avatar_id: string | null
  created_by: string | null
  models: string[] | null
  system_prompt: string | null
  parent_id: string | null
  breakout_model_id: string | null
  last_seq: number
  last_change: number
  created_at: string
  updated_at: string
  participant_count: number
  participants: ParticipantRow[] | null
  last_message: MessageRow | null
  is_pinned: boolean
  is_muted: boolean
  is_archived: boolean
  last_read_seq: number
  unread_mentions: number
}

/** Unread mentions of `participants me` in `conversations c`. */
export const unreadMentions: RawBuilder<unknown> = sql`(
  select count(*)::int from mentions n
  where n.conversation_id = me.conversation_id and n.seq > me.last_read_seq and n.user_id = me.user_id
)`

/** The columns of `ConversationRow`, of `conversations c` joined with the viewer's own `participants me`. */
export const conversationColumns: RawBuilder<ConversationRow> = sql`
  c.id, c.type, ${asWritten('c.title')} as title, c.avatar_id, c.created_by,
  c.models, ${asWritten('c.system_prompt')} as system_prompt, c.breakout_model_id,
  (select o.id from conversations o where o.id = c.parent_id and o.deleted_at is null) as parent_id, c.last_seq, c.last_change, c.created_at, c.updated_at,
  me.is_pinned, me.is_muted, me.is_archived, me.last_read_seq, ${unreadMentions} as unread_mentions,
  (
    select count(*)::int from participants p where p.conversation_id = c.id and p.left_at is null
  ) as participant_count,
  (
    select json_agg(x order by x.joined_at, x.user_id) from (
      select ${participantColumns} from participants p join users u on u.id = p.user_id
      where p.conversation_id = c.id and p.left_at is null
      order by p.joined_at, p.user_id limit ${sql.lit(smallConversation)}
    ) x
  ) as participants,
  (
    select to_json(x) from (
      select ${messageColumns} from messages m where m.conversation_id = c.id and m.seq = c.last_seq
    ) x
  ) as last_message`

export function presentShared(row: ConversationRow, urls: MediaUrls): SharedConversation {
  const shown = row.participant_count > smallConversation ? shownOfLarge : smallConversation
  return {
    id: row.id,
    type: row.type,
    ...(row.title !== null && { title: row.title }),
    ...avatarOf(row, urls),
    ...(row.created_by !== null && { createdBy: row.created_by }),
    ...(row.models && { models: row.models }),
    ...(row.system_prompt !== null && { systemPrompt: row.system_prompt }),
    ...(row.parent_id !== null && { parentId: row.parent_id }),
    ...(row.breakout_model_id !== null && { breakoutModelId: row.breakout_model_id }),
    lastSeq: row.last_seq,
    lastChange: row.last_change,
    ...(row.last_message && { lastMessage: presentMessage(row.last_message, urls) }),
    participantCount: row.participant_count,
    participants: (row.participants ?? []).slice(0, shown).map((one) => presentParticipant(one, urls)),
    createdAt: iso(row.created_at),
    updatedAt: iso(row.updated_at),
  }
}

export function presentConversation(row: ConversationRow, urls: MediaUrls): Conversation {
  return {
    ...presentShared(row, urls),
    settings: { isPinned: row.is_pinned, isMuted: row.is_muted, isArchived: row.is_archived },
    lastReadSeq: row.last_read_seq,
    unreadCount: row.last_seq - row.last_read_seq,
    unreadMentions: row.unread_mentions,
  }
}
