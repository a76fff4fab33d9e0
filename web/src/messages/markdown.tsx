import './markdown.css'
import type { Token, Tokens } from 'marked'
import { memo } from 'preact/compat'
import { useMemo, useRef } from 'preact/hooks'
import { htmlOfBlock, type Mentions } from './block-html.ts'
import { type Blocks, createGrowingBlocks, readBlocks } from './blocks.ts'
import { CodeBlock } from './code-block.tsx'

interface MarkdownOptions {
  text: string
  /** More of the text is to come. */
  isStreaming?: boolean
  mentions?: Mentions
}

const nobody: Mentions = new Map()
/** Lists and quotes within each other that are shown as such; what is deeper is shown as it was typed. */
const maxDepth = 10

/** A text of a person or a model. Of one that grows, only the last block is made anew. */
export const Markdown = memo(function Markdown(options: MarkdownOptions) {
  const { text, isStreaming = false, mentions = nobody } = options
  const growing = useRef<((text: string) => Blocks) | undefined>(undefined)
  const blocks = useMemo(() => {
    if (!isStreaming) return readBlocks(text)
    growing.current ??= createGrowingBlocks()
    return growing.current(text)
  }, [text, isStreaming])
  return (
    <div class={isStreaming ? 'md md-streaming' : 'md'} dir="auto">
      <BlockList
        tokens={blocks.tokens}
        definitions={blocks.definitions}
        isOpen={isStreaming}
        mentions={mentions}
        depth={0}
      />
    </div>
  )
})

interface Surroundings {
  definitions: number
  /** More of the last of it is to come. */
  isOpen: boolean
  mentions: Mentions
  depth: number
}

function BlockList({ tokens, isOpen, ...around }: Surroundings & { tokens: readonly Token[] }) {
  return (
    <>
      {tokens.map((token, index) => (
        <Block key={index} token={token} isOpen={isOpen && index === tokens.length - 1} {...around} />
      ))}
    </>
  )
}

interface BlockOptions extends Surroundings {
  token: Token
}

/** One block: the same text is the same block, whatever object it comes as. */
const Block = memo(
  function Block({ token, ...around }: BlockOptions) {
    switch (token.type) {
      case 'space':
      case 'def':
        return null
      case 'plain':
        return <p class="md-plain">{token.raw}</p>
      case 'code':
        return <CodeBlock code={token.text} language={languageOf(token as Tokens.Code)} isOpen={around.isOpen} />
      case 'list':
      case 'blockquote':
        if (around.depth >= maxDepth) return <p class="md-plain">{token.raw}</p>
        return token.type === 'list' ? (
          <List list={token as Tokens.List} {...around} />
        ) : (
          <blockquote>
            <BlockList tokens={(token as Tokens.Blockquote).tokens} {...around} depth={around.depth + 1} />
          </blockquote>
        )
      case 'table':
        return (
          // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard
          <div class="md-table" tabIndex={0} dangerouslySetInnerHTML={htmlOfBlock(token, around.mentions)} />
        )
      default:
        return <div class="md-block" dangerouslySetInnerHTML={htmlOfBlock(token, around.mentions)} />
    }
  },
  (before, now) =>
    before.token.raw === now.token.raw &&
    before.token.type === now.token.type &&
    before.isOpen === now.isOpen &&
    before.mentions === now.mentions &&
    before.definitions === now.definitions &&
    before.depth === now.depth,
)

function List({ list, isOpen, ...around }: Surroundings & { list: Tokens.List }) {
  const items = list.items.map((item, index) => (
    <li key={index} class={item.task ? 'md-task' : undefined}>
      <BlockList
        tokens={item.tokens}
        isOpen={isOpen && index === list.items.length - 1}
        {...around}
        depth={around.depth + 1}
      />
    </li>
  ))
  if (!list.ordered) return <ul>{items}</ul>
  const start = list.start === '' ? 1 : list.start
  const digits = String(start + items.length).length
  return (
    <ol start={start} style={{ '--digits': digits }}>
      {items}
    </ol>
  )
}

/** The first word of what stands after the fence. */
const languageOf = ({ lang = '' }: Tokens.Code): string => /^[\w+#.-]{1,30}/.exec(lang.trim())?.[0].toLowerCase() ?? ''
