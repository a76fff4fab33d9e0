import { defineEntity, p } from '@mikro-orm/core'
import { Conversation } from './conversation.entity.ts'

/** The words of a message, for search; a message that was deleted has none. Written behind the messages, not with them. */
export const MessageSearch = defineEntity({
  name: 'MessageSearch',
  tableName: 'message_search',
  properties: {
    conversation: () => p.manyToOne(Conversation).primary().deleteRule('cascade'),
    seq: p.integer().primary(),
    words: p.string().columnType('tsvector'),
  },
  indexes: [
    {
      name: 'message_search_words',
      expression: 'create index message_search_words on message_search using gin (words)',
    },
  ],
})

/** How far a conversation's messages are in `message_search`: the change up to which it is right. */
export const SearchPosition = defineEntity({
  name: 'SearchPosition',
  tableName: 'search_positions',
  properties: {
    conversation: () => p.manyToOne(Conversation).primary().deleteRule('cascade'),
    change: p.integer(),
  },
})
