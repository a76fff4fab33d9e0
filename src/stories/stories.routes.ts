import { operation, type Route } from '../kernel/operation.ts'
import { storiesContract as contract, type StoryInput } from './stories.contract.ts'
import type { Stories } from './stories.service.ts'
import type { createStoryEndings } from './story-endings.ts'

/** Stories on their REST addresses. */
export function storiesRoutes(stories: Stories, endings: ReturnType<typeof createStoryEndings>): Route[] {
  const limit = 'stories'
  const create = operation('story:create', contract['story:create'], stories.create, limit)
  const list = operation('story:list', contract['story:list'], stories.list, limit)
  const get = operation('story:get', contract['story:get'], stories.get, limit)
  const view = operation('story:view', contract['story:view'], stories.view, limit)
  const views = operation('story:views', contract['story:views'], stories.views, limit)
  const react = operation('story:react', contract['story:react'], stories.react, limit)
  const unreact = operation('story:unreact', contract['story:unreact'], stories.unreact, limit)
  const reply = operation('story:reply', contract['story:reply'], stories.reply, limit)
  const remove = operation(
    'story:remove',
    contract['story:remove'],
    async ({ storyId }: StoryInput<'story:remove'>, { actor }) => {
      await endings.remove(storyId, actor.userId)
      return {}
    },
    limit,
  )

  const tag = 'stories'
  return [
    { method: 'post', path: '/stories', operation: create, status: 201, tag },
    { method: 'get', path: '/stories', operation: list, tag },
    { method: 'get', path: '/stories/:storyId', operation: get, tag },
    { method: 'delete', path: '/stories/:storyId', operation: remove, status: 204, tag },
    { method: 'post', path: '/stories/:storyId/views', operation: view, status: 204, tag },
    { method: 'get', path: '/stories/:storyId/views', operation: views, tag },
    { method: 'post', path: '/stories/:storyId/reactions', operation: react, status: 204, tag },
    { method: 'delete', path: '/stories/:storyId/reactions', operation: unreact, status: 204, tag },
    { method: 'post', path: '/stories/:storyId/replies', operation: reply, status: 201, tag },
  ]
}
