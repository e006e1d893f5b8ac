"""The shop's database: PostgreSQL or SQLite by one URL, through SQLAlchemy Core."""

import time
from collections.abc import Sequence
from threading import Lock
from typing import Any

from sqlalchemy import (
    Column,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    create_engine,
    event,
    func,
    insert,
    make_url,
    select,
    update,
)
from sqlalchemy.exc import ArgumentError, IntegrityError, SQLAlchemyError

ARTICLES = 2000
_SHELVES = 100
_SHOWN = ("Three teas", "Two cups", "One pot")
_PATIENCE = 2  # seconds for a connection, and for another's lock

_METADATA = MetaData()
STOCK = Table(
    "demo_stock",
    _METADATA,
    Column("id", Integer, primary_key=True),
    Column("name", String(80), nullable=False),
    Column("shelf", Integer, nullable=False),
    Column("pieces", Integer, nullable=False),
)


class StockError(Exception):
    """The database cannot be used; the message holds no password."""


class Stock:
    """The articles of the shop. Its tables are made when the database first answers."""

    def __init__(self, url: str) -> None:
        self._engine = _engine(url)
        self._ready = False
        self._preparing = Lock()

    @property
    def kind(self) -> str:
        """Return which database it is: postgresql or sqlite."""
        return self._engine.dialect.name

    def ping(self) -> None:
        """Ask the database one thing; raises StockError."""
        self._run(lambda connection: connection.execute(select(STOCK.c.id).limit(1)).all())

    def shown(self) -> Sequence[str]:
        """Return what the first page shows; raises StockError."""
        query = select(STOCK.c.name).order_by(STOCK.c.id).limit(len(_SHOWN))
        names: list[str] = self._run(lambda connection: list(connection.execute(query).scalars()))
        return names

    def load(self, queries: int, seconds: float) -> int:
        """Run so many costly queries, or as many as `seconds` allow; return how many. Raises StockError."""
        other = STOCK.alias()
        costly = select(func.count(), func.sum(STOCK.c.pieces * other.c.pieces)).join_from(
            STOCK, other, STOCK.c.shelf == other.c.shelf
        )

        def run(connection: Any) -> int:
            deadline, done = time.monotonic() + seconds, 0
            while done < queries and time.monotonic() < deadline:
                connection.execute(costly).one()
                done += 1
            article = 1 + done % ARTICLES
            connection.execute(update(STOCK).where(STOCK.c.id == article).values(pieces=1 + done))
            return done

        found: int = self._run(run)
        return found

    def close(self) -> None:
        """End every connection."""
        self._engine.dispose()

    def _run(self, work: Any) -> Any:
        try:
            self._prepare()
            with self._engine.begin() as connection:
                return work(connection)
        except SQLAlchemyError as error:
            # The driver's own words may quote the address with its password.
            raise StockError(f"the database ({self.kind}) cannot be used ({type(error).__name__})") from error

    def _prepare(self) -> None:
        with self._preparing:
            if self._ready:
                return
            _METADATA.create_all(self._engine)
            try:
                with self._engine.begin() as connection:
                    if connection.execute(select(STOCK.c.id).limit(1)).first() is None:
                        connection.execute(insert(STOCK), _articles())
            except IntegrityError:
                pass  # another instance of the shop was quicker
            self._ready = True


def _articles() -> list[dict[str, Any]]:
    names = [*_SHOWN, *(f"Article {number}" for number in range(len(_SHOWN) + 1, ARTICLES + 1))]
    return [
        {"id": number, "name": name, "shelf": number % _SHELVES, "pieces": number % 7}
        for number, name in enumerate(names, 1)
    ]


def _engine(url: str) -> Engine:
    try:
        address = make_url(url)
    except ArgumentError:
        raise StockError(
            "the database's URL cannot be read: sqlite:////path/to/shop.db or "
            "postgresql://user:password@host/database"
        ) from None
    if address.get_backend_name() in ("postgresql", "postgres"):
        options = {"connect_timeout": _PATIENCE, "options": f"-c lock_timeout={_PATIENCE * 1000}"}
        address = address.set(drivername="postgresql+psycopg")
        return create_engine(
            address, pool_size=8, max_overflow=4, pool_timeout=5, pool_pre_ping=True, connect_args=options
        )
    if address.get_backend_name() != "sqlite":
        raise StockError(f"the database must be PostgreSQL or SQLite (got {address.get_backend_name()})")
    engine = create_engine(
        address, pool_size=8, max_overflow=4, pool_timeout=5, connect_args={"timeout": _PATIENCE}
    )
    event.listen(engine, "connect", _quick)
    return engine


def _quick(connection: Any, _record: Any) -> None:
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
