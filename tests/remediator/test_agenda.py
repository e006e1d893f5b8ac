from remediator.reconciling.agenda import Agenda


def knows(*incidents: int) -> Agenda:
    agenda = Agenda()
    agenda.know(lambda: incidents)
    return agenda


def test_what_was_not_known_before_is_due_at_once_and_goes_on_being_so():
    agenda = knows(1, 2)
    assert agenda.due(10.0, set(), 8) == ([1, 2], None)
    assert agenda.due(10.0, set(), 8) == ([1, 2], None)


def test_what_has_waited_longest_comes_first_and_the_next_one_is_told():
    agenda = knows(1, 2, 3)
    agenda.put(1, 9.0)
    agenda.put(2, 8.0)
    agenda.put(3, 20.0)
    assert agenda.due(10.0, set(), 8) == ([2, 1], 20.0)
    assert agenda.due(10.0, set(), 1) == ([2], None)


def test_what_is_put_off_is_not_due_although_it_once_was():
    agenda = knows(1)
    agenda.put(1, 30.0)
    assert agenda.due(10.0, set(), 8) == ([], 30.0)


def test_what_is_being_looked_at_is_passed_over_and_comes_again_after():
    agenda = knows(1, 2)
    assert agenda.due(10.0, {1}, 8) == ([2], None)
    assert agenda.due(10.0, set(), 8) == ([1, 2], None)


def test_what_is_put_twice_to_the_same_time_is_due_once():
    agenda = knows(1)
    agenda.soon([1, 1])
    assert agenda.due(10.0, set(), 8) == ([1], None)


def test_what_is_over_or_dropped_is_due_no_more():
    agenda = knows(1, 2, 3)
    agenda.drop(1)
    agenda.know(lambda: [3])
    assert agenda.due(10.0, set(), 8) == ([3], None)
    assert len(agenda) == 1


def test_a_time_that_was_set_outlasts_a_new_reading():
    agenda = knows(1)
    agenda.put(1, 30.0)
    agenda.know(lambda: [1])
    assert agenda.due(10.0, set(), 8) == ([], 30.0)


def test_what_is_put_in_while_the_open_ones_are_read_is_kept():
    agenda = Agenda()

    def read():
        agenda.soon([7])  # opened after the reading began: it is not seen by it
        return [1]

    agenda.know(read)
    assert sorted(agenda.due(10.0, set(), 8)[0]) == [1, 7]
    agenda.know(lambda: [1])
    assert agenda.due(10.0, set(), 8)[0] == [1]
