// The team's board: a column for each state, a card for each task, moved by the buttons on it.
// A page of the project's own; Pulpo's docs/ui.md tells what `context` has.

const STATES = ['todo', 'doing', 'done'];
const TITLES = { todo: 'To do', doing: 'Being done', done: 'Done' };

export default {
  async mount({ element, ask, onChange, navigate, notify }) {
    const style = document.createElement('link');
    style.rel = 'stylesheet';
    style.href = '/project/board.css';
    document.head.append(style);
    const board = document.createElement('div');
    board.className = 'board';
    element.append(board);

    async function move(task, state) {
      try {
        await ask(`/tasks/${task.id}`, {
          method: 'PATCH',
          body: { state },
          headers: { 'If-Match': `"${task.version}"` },
        });
      } catch (error) {
        notify(error.detail, 'red');
      }
      await draw();
    }

    async function draw() {
      const { data } = await ask('/tasks?state[in]=todo,doing,done&limit=100&expand=assignee');
      board.replaceChildren(...STATES.map((state) => column(state, data.filter((task) => task.state === state))));
    }

    function column(state, tasks) {
      const section = make('section');
      section.append(make('h2', `${TITLES[state]} ${tasks.length}`), ...tasks.map((task) => card(task)));
      return section;
    }

    function card(task) {
      const article = make('article');
      const title = make('a', task.title);
      title.href = `/data/tasks/${task.id}`;
      title.addEventListener('click', (event) => {
        event.preventDefault();
        navigate(title.getAttribute('href'));
      });
      const place = STATES.indexOf(task.state);
      article.append(title, make('p', [task.assignee?.name, task.due].filter(Boolean).join(' · ') || 'Nobody yet'));
      const buttons = make('div');
      for (const state of [STATES[place - 1], STATES[place + 1]].filter(Boolean)) {
        const button = make('button', TITLES[state]);
        button.setAttribute('aria-label', `Move ${task.title} to ${TITLES[state]}`);
        button.addEventListener('click', () => void move(task, state));
        buttons.append(button);
      }
      article.append(buttons);
      return article;
    }

    onChange(['Task'], () => void draw());
    await draw();
    return () => style.remove();
  },
};

function make(tag, text = '') {
  const element = document.createElement(tag);
  element.textContent = text;
  return element;
}
