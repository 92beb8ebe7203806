"""What happens to notes."""

from models.note import Note
from pydantic import BaseModel

from pulpo import Context, Ref, operation


class WriteNoteInput(BaseModel):
    """What a note says."""

    text: str


class WriteNoteOutput(BaseModel):
    """The note that was written."""

    note_id: str


@operation(name="notes.desk.write_note", models_add=[Note], atomic=True, retries=2, timeout=5)
async def write_note(data: WriteNoteInput, ctx: Context) -> WriteNoteOutput:
    """Write a note down."""
    return WriteNoteOutput(note_id=ctx.store.insert(Note(text=data.text)).id)


@operation(name="notes.desk.finish_note", models_in=[Note], models_out=[Note], atomic=True)
async def finish_note(note_id: Ref[Note], ctx: Context) -> None:
    """Cross a note out."""
    note = await ctx.store.get(Note, note_id)
    ctx.store.patch(note, done=True)
